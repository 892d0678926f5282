"""The retry policy: how long it waits, which errors are worth a try, and what may be asked of it."""

import math
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.errors import AgentTypeError
from workbench.model.retry import DEFAULT, NEVER, Retry, policy_of

policies = st.builds(
    Retry,
    attempts=st.none() | st.integers(1, 50),
    delay=st.floats(0, 100),
    factor=st.floats(1, 100),
    cap=st.floats(0, 100),
    jitter=st.floats(0, 2),
)


def test_the_default_is_golems() -> None:
    """Three tries; 100 ms, then 300 ms; up to 15 % more by chance."""
    assert [DEFAULT.delay_after(n, 0) for n in (1, 2, 3)] == [pytest.approx(0.1), pytest.approx(0.3), None]
    assert DEFAULT.delay_after(2, 1) == pytest.approx(0.3 * 1.15)


def test_never_and_fixed() -> None:
    """`never` has no second try; `fixed` waits the same each time, however long, and leaves nothing to chance."""
    assert NEVER.delay_after(1, 0) is None
    minutes = Retry.fixed(60, attempts=None, when=OSError)
    assert {minutes.delay_after(n, n / 10) for n in range(1, 10)} == {60.0}
    assert minutes.when is OSError


@given(policies, st.integers(1, 10_000), st.floats(0, 1))
def test_waits_grow_to_the_cap(policy: Retry, failures: int, chance: float) -> None:
    """A wait is never shorter than the first nor longer than the cap, jitter aside, and they never shrink."""
    this, after = policy.delay_after(failures, chance), policy.delay_after(failures + 1, chance)
    if this is None:
        assert policy.attempts is not None
        assert failures >= policy.attempts
        assert after is None
        return
    top = max(policy.delay, policy.cap) * (1 + policy.jitter)
    assert policy.delay <= this <= top or math.isclose(this, top)
    assert after is None or after >= this


def test_which_errors() -> None:
    """By default each `Exception`; else by class, by classes, or by asking."""
    assert Retry().allows(ValueError())
    assert not Retry().allows(SystemExit())
    assert not Retry(when=BaseException).allows(KeyboardInterrupt())
    assert Retry(when=(OSError, ValueError)).allows(ConnectionError())
    assert not Retry(when=OSError).allows(ValueError())
    assert Retry(when=lambda error: "busy" in str(error)).allows(OSError("busy"))
    assert not Retry(when=lambda error: "busy" in str(error)).allows(OSError("gone"))


def test_what_retry_may_be() -> None:
    """None is the default, or one try where twice may do harm; a number is that of the tries; a policy is itself."""
    own = Retry(attempts=7)
    assert policy_of(None, idempotent=True) is DEFAULT
    assert policy_of(None, idempotent=False) is NEVER
    assert policy_of(own, idempotent=False) is own
    assert policy_of(5, idempotent=True) == Retry(attempts=5)
    for wrong in (0, -1, True, 2.0, "3", ValueError):
        with pytest.raises(AgentTypeError, match=r"retry=.* Pass 1 or more"):
            policy_of(wrong, idempotent=True)  # type: ignore[arg-type]


def test_a_policy_is_a_value() -> None:
    """Equal policies are equal, can be hashed and pickled, and cannot be changed."""
    policy = Retry(attempts=2, when=OSError)
    assert pickle.loads(pickle.dumps(policy)) == policy  # noqa: S301
    assert hash(policy) == hash(Retry(attempts=2, when=OSError))
    with pytest.raises(AttributeError):
        policy.attempts = 3  # type: ignore[misc]
