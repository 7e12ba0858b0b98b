"""Tests of vaelab.schedules."""

import pytest

from vaelab.schedules import kl_weight, learning_rate


def rates(schedule, total=1000):
    return [learning_rate(step, total, schedule) for step in range(total)]


def test_constant():
    assert set(rates("constant")) == {1.0}


def test_step_halves_after_each_third():
    found = rates("step", 900)
    assert [found[i] for i in (0, 299, 300, 599, 600, 899)] == [1, 1, 0.5, 0.5, 0.25, 0.25]


def test_cosine_warms_up_and_falls():
    found = rates("cosine")
    assert found[:50] == pytest.approx([(i + 1) / 50 for i in range(50)])
    assert found[50:] == sorted(found[50:], reverse=True)
    assert found[-1] == pytest.approx(0.01)
    assert found[49 + 475] == pytest.approx((1 + 0.01) / 2)


@pytest.mark.parametrize("schedule", ["constant", "step", "cosine"])
@pytest.mark.parametrize("total", [1, 2, 3, 19])
def test_rates_are_positive_however_short_the_run(schedule, total):
    assert all(0 < rate <= 1 for rate in rates(schedule, total))


def test_annealing():
    linear = [kl_weight(step, 100, "linear") for step in range(100)]
    assert linear == pytest.approx([min(1, step / 50) for step in range(100)])
    cyclical = [kl_weight(step, 400, "cyclical") for step in range(400)]
    assert cyclical[:100] == pytest.approx(linear)
    assert cyclical[100:200] == pytest.approx(cyclical[:100])
    assert {kl_weight(step, 100) for step in range(100)} == {1.0}


@pytest.mark.parametrize(("function", "name"), [(learning_rate, "schedule"), (kl_weight, "annealing")])
def test_unknown_names(function, name):
    with pytest.raises(ValueError, match=f"{name} must be one of"):
        function(0, 10, "exponential")
