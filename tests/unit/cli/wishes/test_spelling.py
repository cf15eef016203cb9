"""Options may be written in all of docker's ways."""

import pytest

from layerkit.cli.wishes.spelling import as_click

VALUED = {"-e", "--env", "-m", "--memory", "-p", "-v", "--name", "--network", "--dns-option"}
FLAGS = dict.fromkeys(("-i", "-t", "-d", "--rm", "--tty"), "") | {"--sig-proxy": "--no-sig-proxy"}


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        ("", ""),
        ("-it image sh", "-it image sh"),
        ("--rm=true image", "--rm image"),
        ("--rm=1 --tty=T image", "--rm --tty image"),
        ("--rm=false image", "image"),
        ("-d=true -i=false image", "-d image"),
        ("--sig-proxy=false image", "--no-sig-proxy image"),
        ("--sig-proxy=true image", "--sig-proxy image"),
        ("--rm=maybe image", "--rm=maybe image"),
        ("-m=1g image", "-m1g image"),
        ("-m1g -m 1g image", "-m1g -m 1g image"),
        ("-e=A=1 -eB=2 image", "-eA=1 -eB=2 image"),
        ("-ite=A=1 image", "-iteA=1 image"),
        ("-p=8080:80 image", "-p8080:80 image"),
        ("--net host --net=none image", "--network host --network=none image"),
        ("--dns-opt=a image", "--dns-option=a image"),
        ("--name=--rm=false image", "--name=--rm=false image"),
        ("--name --rm=false image", "--name --rm=false image"),
        ("-e --rm=false image", "-e --rm=false image"),
        ("-ite --rm=false image", "-ite --rm=false image"),
        ("image --rm=false -m=1g --net x", "image --rm=false -m=1g --net x"),
        ("-- --rm=false", "-- --rm=false"),
        ("- --rm=false", "- --rm=false"),
        ("-e", "-e"),
        ("--unknown=1 -z=2 image", "--unknown=1 -z=2 image"),
    ],
)
def test_a_spelling(line, wanted):
    """Only options are changed, never their values or what follows the image."""
    assert as_click(line.split(), VALUED, FLAGS) == wanted.split()


@pytest.mark.parametrize("words", [["-e="], ["-e", ""], ["", "--rm=false"], ["--name="]], ids=str)
def test_an_empty_value(words):
    """Empty words are words."""
    assert as_click(words, VALUED, FLAGS) == words
