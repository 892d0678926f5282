"""The codec on pandas: exact, or refused with the path."""

from collections.abc import Callable
from datetime import UTC, date
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.errors import DecodingError, EncodingError
from workbench.model.codec import decode, encode

np = pytest.importorskip("numpy")
pd = pytest.importorskip("pandas")


def equal(a: Any, b: Any) -> None:
    """Assert what pandas can compare, most strictly."""
    assert type(a) is type(b)
    if isinstance(a, pd.DataFrame):
        pd.testing.assert_frame_equal(a, b, check_exact=True, check_column_type=True, check_freq=True, check_flags=True)
        assert type(a.index) is type(b.index)
        assert type(a.columns) is type(b.columns)
    elif isinstance(a, pd.Series):
        pd.testing.assert_series_equal(a, b, check_exact=True, check_freq=True, check_flags=True)
    else:
        pd.testing.assert_index_equal(a, b, exact=True, check_exact=True)
        assert getattr(a, "freq", None) == getattr(b, "freq", None)
    if not isinstance(a, pd.Index):
        assert a.attrs == b.attrs
    assert encode(a) == encode(b)


def with_attrs() -> Any:
    """A frame with attributes, which pandas keeps beside the data."""
    frame = pd.DataFrame({"a": [1]})
    frame.attrs = {"unit": ("m", 1)}
    return frame


FRAMES: dict[str, Callable[[], Any]] = {
    "numbers": lambda: pd.DataFrame({"i": [1, 2], "f": [0.5, np.nan], "b": [True, False], "c": [1j, 2]}),
    "text": lambda: pd.DataFrame({"s": ["a", None, "ü"]}),
    "string": lambda: pd.Series(["a", None], dtype=pd.StringDtype("python")),
    "objects": lambda: pd.DataFrame({"o": pd.Series([1, "a", None, (1, {2}), date(2020, 1, 1), [1]], dtype=object)}),
    "categories": lambda: pd.Series(["x", "y", None], dtype=pd.CategoricalDtype(["y", "x"], ordered=True)),
    "nullable": lambda: pd.DataFrame(
        {
            "i": pd.array([1, None], dtype="Int16"),
            "u": pd.array([1, 2**63], dtype="UInt64"),
            "f": pd.array([1.5, None], dtype="Float64"),
            "b": pd.array([True, None], dtype="boolean"),
        }
    ),
    "times": lambda: pd.DataFrame({"t": pd.to_datetime(["2020-01-01", None]), "d": pd.to_timedelta([1, 2], unit="s")}),
    "zoned": lambda: pd.Series(pd.date_range("2020-03-28", periods=3, freq="D", tz=ZoneInfo("Europe/Paris"))),
    "utc": lambda: pd.Series(pd.to_datetime(["2020-01-01", None]).tz_localize(UTC), name=("a", 1)),
    "range index": lambda: pd.DataFrame({"a": [1, 2]}, index=pd.RangeIndex(5, 1, -2, name="r")),
    "frequency": lambda: pd.DataFrame({"a": [1, 2]}, index=pd.date_range("2020", periods=2, freq="ME", name="when")),
    "many levels": lambda: pd.DataFrame(
        {"a": [1, 2]}, index=pd.MultiIndex.from_tuples([(1, "x"), (2, "y")], names=["n", None])
    ),
    "levels of labels": lambda: pd.DataFrame([[1, 2]], columns=pd.MultiIndex.from_tuples([("a", 1), ("b", 2)])),
    "mixed labels": lambda: pd.DataFrame([[1, 2.0, "x"]], columns=["a", 1, ("t", 2)]),
    "labels twice": lambda: pd.DataFrame([[1, "x"]], columns=["a", "a"]),
    "rows twice": lambda: pd.DataFrame({"a": [1, 2]}, index=["r", "r"]),
    "no rows": lambda: pd.DataFrame({"a": np.array([], "i4"), "b": np.array([], object)}),
    "no columns": lambda: pd.DataFrame(index=[1, 2, 3]),
    "nothing": pd.DataFrame,
    "attributes": with_attrs,
    "flags": lambda: pd.Series([1], index=["a"]).set_flags(allows_duplicate_labels=False),
    "index": lambda: pd.Index([1.5, 2.5], name="i"),
    "object index": lambda: pd.Index([1, "a", (2,)], dtype=object),
    "time index": lambda: pd.date_range("2020", periods=3, freq="h", tz="UTC"),
    "delta index": lambda: pd.timedelta_range("1s", periods=3, freq="s"),
    "categorical index": lambda: pd.CategoricalIndex(["a", "b", "a"]),
}


@pytest.mark.parametrize("kind", FRAMES)
def test_pandas_comes_back_equal(kind: str) -> None:
    """Frames, series and indexes come back exactly, also inside containers."""
    value = FRAMES[kind]()
    equal(decode(encode(value)), value)
    equal(decode(encode([{"x": (value,)}]))[0]["x"][0], value)  # type: ignore[index]


class Special(pd.DataFrame):  # type: ignore[misc,name-defined,unused-ignore]
    pass


REFUSED: dict[str, tuple[Callable[[], Any], str]] = {
    "code in a cell": (lambda: pd.DataFrame({"a": [1], "f": pd.Series([len], dtype=object)}), "v['f'][0]"),
    "period": (lambda: pd.DataFrame({"p": pd.period_range("2020", periods=2, freq="M")}), "v['p']"),
    "interval": (lambda: [pd.interval_range(0, 2)], "v[0]"),
    "sparse": (lambda: pd.Series(pd.arrays.SparseArray([0, 1])), "v"),
    "subclass": (lambda: Special({"a": [1]}), "v"),
    "timestamp": (lambda: [pd.Timestamp("2020")], "v[0]"),
    "absent": (lambda: {"a": pd.NA}, "v['a']"),
    "group": (lambda: pd.DataFrame({"a": [1]}).groupby("a"), "v"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_pandas_refused_with_path(kind: str) -> None:
    """What has no exact form is refused, with the path down to the cell."""
    make, path = REFUSED[kind]
    with pytest.raises(EncodingError) as caught:
        encode(make(), path="v")
    assert caught.value.path == path
    assert caught.value.do


SAMPLES = [encode(make()) for make in FRAMES.values()]


@given(st.sampled_from(SAMPLES), st.data())
@settings(deadline=None, max_examples=300)
def test_mutated_pandas_is_read_or_refused(sample: bytes, data: st.DataObject) -> None:
    """A valid encoding with a byte changed gives a value or `DecodingError`, nothing else."""
    mutated = bytearray(sample)
    mutated[data.draw(st.integers(0, len(mutated) - 1))] = data.draw(st.integers(0, 255))
    try:
        decode(bytes(mutated))
    except DecodingError:
        return
