"""The input shape of a network that no option gives."""

import pytest

from dfal_cli.images import Probe, common_shape

GREY, COLOUR = Probe(grey=True, height=20, width=30), Probe(grey=False, height=20, width=30)
ODD = Probe(grey=True, height=21, width=30)


def settled(probes: list[Probe], image_size: int | None = None, grey: bool | None = None) -> tuple[object, list[str]]:
    said: list[str] = []
    return common_shape(probes, image_size, grey, said.append), said


def test_a_common_size_and_kind_is_used_without_a_warning() -> None:
    assert settled([GREY] * 3) == ((1, 20, 30), [])
    assert settled([COLOUR] * 3) == ((3, 20, 30), [])


@pytest.mark.parametrize("alike", [9, 99])
def test_the_size_of_nine_images_in_ten_is_used_and_the_others_are_counted(alike: int) -> None:
    shape, said = settled([ODD, *[GREY] * alike])
    assert shape == (1, 20, 30)
    assert len(said) == 1
    assert f"1 of {alike + 1} images is not 30x20 like the others (one is 30x21)" in said[0]


def test_without_a_common_size_images_become_224x224() -> None:
    assert settled([ODD, *[GREY] * 8]) == ((1, 224, 224), [])
    assert settled([]) == ((1, 224, 224), [])


def test_a_large_common_size_becomes_224x224_too() -> None:
    photo = Probe(grey=False, height=3024, width=4032)
    assert settled([photo] * 3) == ((3, 224, 224), [])
    assert settled([Probe(grey=False, height=224, width=168)] * 3) == ((3, 224, 168), [])


@pytest.mark.parametrize(("grey", "count"), [(18, 2), (10, 10)])
def test_one_colour_image_makes_the_input_colour_with_a_warning_if_it_is_an_exception(grey: int, count: int) -> None:
    shape, said = settled([COLOUR] * count + [GREY] * grey)
    assert shape == (3, 20, 30)
    assert [("2 of 20 images have colour channels" in text, "--gray" in text) for text in said] == [(True, True)] * (
        count == 2
    )


def test_options_that_are_given_cause_no_warning() -> None:
    mixed = [ODD, COLOUR, *[GREY] * 18]
    assert settled(mixed, image_size=28, grey=True) == ((1, 28, 28), [])
    shape, said = settled(mixed, image_size=28)
    assert shape == (3, 28, 28)
    assert len(said) == 1
