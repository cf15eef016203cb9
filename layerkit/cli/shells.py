"""How shells are told what completes a command line: click's ways, and one of our own for bash."""

from __future__ import annotations

from typing import TYPE_CHECKING

from click import shell_completion

from layerkit.cli import environment

if TYPE_CHECKING:
    import click

# click's own script loses names with a colon: bash takes it for the end of a word. So this one
# hands over the line instead of words, and takes off what bash would not replace.
_BASH_SCRIPT = """\
%(complete_func)s() {
    local line="${COMP_LINE:0:COMP_POINT}" word kept="" reply kind value
    word="${line##*[[:space:]]}"
    if [[ $word == *:* && $COMP_WORDBREAKS == *:* ]]; then
        kept="${word%%"${word##*:}"}"
    fi
    COMPREPLY=()
    while IFS= read -r reply; do
        IFS=',' read -r kind value <<< "$reply"
        case $kind in
            dir) compopt -o dirnames ;;
            file) compopt -o default ;;
            plain) COMPREPLY+=("${value#"$kept"}") ;;
        esac
    done < <(COMP_LINE="$line" %(complete_var)s=bash_complete "$1")
}
complete -o nosort -F %(complete_func)s %(prog_name)s
"""


class _Bash(shell_completion.BashComplete):
    source_template = _BASH_SCRIPT

    def source(self) -> str:
        """The script, without starting a bash to see how old it is."""
        return self.source_template % self.source_vars()

    def get_completion_args(self) -> tuple[list[str], str]:
        """The finished words after the program's name, and the one at the cursor."""
        line = environment.completion_line()
        words = shell_completion.split_arg_string(line)
        incomplete = words.pop() if words and not line[-1:].isspace() else ""
        return words[1:], incomplete


def completer(group: click.Command, shell: str) -> shell_completion.ShellComplete:
    """What writes the script for a shell, and answers it."""
    kind = _Bash if shell == "bash" else shell_completion.get_completion_class(shell)
    assert kind is not None
    return kind(group, {}, "layerkit", environment.COMPLETION_VARIABLE)
