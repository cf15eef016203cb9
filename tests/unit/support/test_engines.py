"""A daemon that cannot start says why."""

import pytest
from support import engines


@pytest.mark.root
@pytest.mark.debian(*engines.DOCKER_PROGRAMS)
def test_the_last_words_of_a_daemon_are_told():
    """What ends instead of starting is an error with the reason, and leaves nothing."""
    with (
        pytest.raises(engines.CannotStartError, match=r"^dockerd cannot start: .*driver"),
        engines.docker(driver="no-such-driver"),
    ):
        pass
