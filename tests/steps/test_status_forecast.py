"""status: how many more labels the target needs, on which accuracies that rests, and when to stop."""

from pathlib import Path

import pytest

from tests.conftest import write
from tests.steps.finished_rounds import curve, house, law, status, told, write_list, write_round

__all__ = ["house"]


def test_the_forecast_names_how_many_more_labels_the_target_needs(house: Path) -> None:
    curve(*(law(number) for number in range(1, 8)))
    forecast = told("--rounds", "rounds", "--target", 0.94)["forecast"]
    truth = (1.2 / 0.03) ** (1 / 0.6)
    assert forecast["labels"] == pytest.approx(truth, rel=0.1)
    assert forecast["interval"][0] < truth < forecast["interval"][1]
    assert (
        "more labels for 94 % (more than there are images left), between"
        in status("--rounds", "rounds", "--target", 0.94).stdout
    )


@pytest.mark.parametrize(
    ("accuracies", "target", "said"),
    [
        ((0.6, 0.7, 0.8), 0.95, "unknown, too few rounds: 3, and a forecast needs 5"),
        ((0.8, 0.8, 0.8, 0.801, 0.8), 0.95, "unknown, the curve is flat"),
        ((0.6, 0.7, 0.8, 0.9, 0.96), 0.95, "95 % is reached"),
        (tuple(law(number) for number in range(1, 8)), 0.995, "99.5 % lies above the ceiling of the fitted curve"),
    ],
)
def test_a_curve_that_does_not_carry_a_forecast_says_so(
    house: Path, accuracies: tuple[float, ...], target: float, said: str
) -> None:
    curve(*accuracies)
    assert said in status("--rounds", "rounds", "--target", target).stdout


def test_rounds_without_accuracies_have_no_forecast(house: Path) -> None:
    write(house / "labels.csv", "image,label", "000.png,dark")
    assert "labels for 95 %: unknown, needs the accuracy on a test set or on a control slice" in status().stdout


def test_accuracies_on_labels_that_a_strategy_chose_are_shown_but_decide_nothing(house: Path) -> None:
    write(house / "labels.csv", "image,label", "039.png,dark")
    for number in range(1, 7):
        write_round(number, 40 * number)
    found = told("--rounds", "rounds")
    assert found["rounds"][0]["accuracy"]["cross-validation"]["accuracy"] == 0.5
    assert (found["forecast"]["problem"], found["stopping"]["flat"]["holds"]) == (
        "needs the accuracy on a test set or on a control slice", None,
    )  # fmt: skip


def test_control_slices_are_the_curve_where_there_is_no_test_set(house: Path) -> None:
    write(house / "labels.csv", "image,label", "039.png,dark")
    for number in range(1, 6):
        right = 2 + number
        rows = [f"{place:03d}.png,{'dark' if place < right else 'light'},1" for place in range(10)]
        write_list(write_round(number, 40 * number), *rows)
    found = told("--rounds", "rounds")
    assert found["forecast"]["measured_on"] == "control slice"
    reason = "control slice: 10 images in a round are too few; at least 30 are needed"
    assert found["stopping"]["flat"]["reason"] == reason


def test_a_target_is_not_reached_on_a_few_images(house: Path) -> None:
    write(house / "labels.csv", "image,label", "039.png,dark")
    for number in range(1, 6):
        write_list(write_round(number, 40 * number), *(f"{place:03d}.png,dark,1" for place in range(4)))
    assert "unknown, the last round is above it, but on 4 images only" in status("--rounds", "rounds").stdout


def test_stopping_rules_are_advice_with_a_reason(house: Path) -> None:
    curve(0.8, 0.9, 0.9, 0.9, 0.9)
    rules = told("--rounds", "rounds")["stopping"]
    assert {name: rule["holds"] for name, rule in rules.items()} == {"stable": True, "margins": None, "flat": True}
    assert "stopping rule stable: holds: Cohen's kappa" in status("--rounds", "rounds").stdout
    assert told("--rounds", "rounds")["line"].endswith(
        "you may stop: the predictions of successive models hardly differ any more"
    )


def test_predictions_that_change_are_not_stable(house: Path) -> None:
    write(house / "labels.csv", "image,label", "039.png,dark")
    for number in range(1, 5):
        write_round(number, 20 * number, 0.8, predicted=["dark", "light"] * 20 if number % 2 else ["dark"] * 40)
    assert told("--rounds", "rounds")["stopping"]["stable"]["holds"] is False
