"""numpy arrays and scalars, pandas frames, series and indexes, as values made of plain parts.

A *form* is a list of built-in values that says all about an array: data type, shape and bytes; a frame's form holds
its index, its column labels and one array per column. Forms are then encoded like any value, so object columns are
copied by the same rules, with the path to a cell at fault. Neither pickle nor `.npy` nor Arrow is used: the first two
can name code, the last would be a heavy dependency.

Neither library is imported to write (a value of theirs means it is there) and each only on the first tag to read. A
pandas form is built back once before it is accepted, and refused when its form then differs: exact, or not at all.
What comes back is always C-contiguous, writable and owns its memory.
"""

import importlib
import math
import re
import sys
from collections.abc import Callable
from typing import Any, Final

from workbench.model.refusals import Refusal
from workbench.model.tags import MAX_BYTES, Tag

Convert = Callable[[object], object]
"""Turns a part into what MessagePack can hold, or raises `Refusal`."""

_DTYPE = re.compile(r"[<>|=]?[?bBhHiIlLqQefdgFDGSUVmMuc]\d{0,9}(\[\d{0,9}[a-zA-Z]{1,7}\])?")
"""Text that numpy may take as a data type; never a name, a list or an object type."""

_MAX_NESTING: Final = 16


def tag_of(kind: type) -> int | None:
    """The tag of a class of numpy or pandas whose values can be encoded; imports nothing."""
    home = kind.__module__.partition(".")[0]
    if home == "numpy":
        np = sys.modules.get("numpy")
        if np is None:
            return None
        if kind is np.ndarray:
            return Tag.ARRAY
        return Tag.SCALAR if issubclass(kind, np.generic) and kind is not np.object_ else None
    if home == "pandas" and "pandas" in sys.modules:
        pd = sys.modules["pandas"]
        if kind is pd.DataFrame:
            return Tag.FRAME
        if kind is pd.Series:
            return Tag.SERIES
        indexes = (pd.Index, pd.RangeIndex, pd.DatetimeIndex, pd.TimedeltaIndex, pd.CategoricalIndex, pd.MultiIndex)
        return Tag.INDEX if kind in indexes else None
    return None


def form(tag: int, value: Any, convert: Convert) -> object:
    """The form of a value whose class has this tag.

    Raises:
        Refusal: a data type or a kind of index that has no exact form.
    """
    if tag == Tag.ARRAY:
        return _array_form(value)
    if tag == Tag.SCALAR:
        return _scalar_form(value)
    first: object = _WRITERS[tag](value, convert)
    try:
        again: object = _WRITERS[tag](_READERS[tag](_unconverted(tag, value)), convert)
    except Refusal:
        raise
    except Exception as error:
        raise Refusal(
            f"pandas cannot build it back ({error!s:.100})", "reset its index, or pass its columns"
        ) from error
    if first != again:
        raise Refusal("it would change when built back", "reset its index, or cast its columns to plain types")
    return first


def build(tag: int, content: Any) -> object:
    """The value of a form. Raises whatever the library raises when the form is none."""
    return _READERS[tag](content)


def _unconverted(tag: int, value: Any) -> Any:
    """The form with its parts as they are: what a reader gets once the codec has decoded them."""
    return _WRITERS[tag](value, lambda part: part)


# ---- numpy --------------------------------------------------------------------------------------------------------


def _numpy() -> Any:
    return importlib.import_module("numpy")


def _dtype_form(dtype: Any) -> object:
    """Text, `[base, shape]`, or `[names, forms, offsets, itemsize, aligned]`."""
    if dtype.fields is not None:
        parts: list[object] = [_dtype_form(dtype.fields[name][0]) for name in dtype.names]
        offsets = [dtype.fields[name][1] for name in dtype.names]
        written: object = [list(dtype.names), parts, offsets, dtype.itemsize, dtype.isalignedstruct]
    elif dtype.subdtype is not None:
        written = [_dtype_form(dtype.subdtype[0]), list(dtype.subdtype[1])]
    elif dtype.hasobject or not _DTYPE.fullmatch(dtype.str):
        raise Refusal(f"numpy data type {dtype!s:.60} has no plain bytes", "cast it with .astype(), or pass .tolist()")
    else:
        written = dtype.str
        if _numpy().dtype(written).char != dtype.char:  # the platform has two types of this size: long and long long
            written = dtype.str[0] + dtype.char
    built = _dtype(written)
    if built != dtype or built.char != dtype.char or dtype.metadata or not dtype.itemsize:
        raise Refusal(f"numpy data type {dtype!s:.60} has no plain form", "cast it with .astype()")
    return written


def _dtype(written: Any, nesting: int = 0) -> Any:
    np = _numpy()
    if nesting > _MAX_NESTING:
        message = "a data type nests too deep"
        raise ValueError(message)
    if isinstance(written, str):
        if not _DTYPE.fullmatch(written):
            message = f"no data type: {written!r:.60}"
            raise ValueError(message)
        return np.dtype(written)
    if len(written) == 2:  # noqa: PLR2004 - base and shape
        return np.dtype((_dtype(written[0], nesting + 1), tuple(written[1])))
    names, parts, offsets, size, aligned = written
    formats = [_dtype(part, nesting + 1) for part in parts]
    return np.dtype({"names": names, "formats": formats, "offsets": offsets, "itemsize": size}, align=bool(aligned))


def _array_form(array: Any) -> list[object]:
    written = _dtype_form(array.dtype)
    if array.nbytes > MAX_BYTES:  # a broadcast array may be longer than memory
        raise Refusal(
            f"an array of {array.nbytes} bytes is over the cap of {MAX_BYTES}", "store it in a file and pass its path"
        )
    return [written, list(array.shape), array.tobytes()]


def _array(content: Any) -> Any:
    written, shape, data = content
    dtype = _dtype(written)
    if dtype.hasobject or not dtype.itemsize or type(data) is not bytes:
        message = "no array of plain bytes"
        raise ValueError(message)
    if any(type(n) is not int or n < 0 for n in shape) or math.prod(shape) * dtype.itemsize != len(data):
        message = "an array's shape does not fit its bytes"
        raise ValueError(message)
    return _numpy().ndarray(tuple(shape), dtype, buffer=data).copy()


def _scalar_form(value: Any) -> list[object]:
    np = _numpy()
    if type(value) in (np.str_, np.bytes_):  # an array would lose NULs at their end
        empty = "" if type(value) is np.str_ else b""
        return ["text", empty + value[:]]  # `str` and `bytes` would cut NULs off too
    written = _dtype_form(value.dtype)
    if _dtype(written).type is not type(value):
        raise Refusal(f"a numpy scalar of class {type(value).__name__}", "convert it with .item()")
    return [written, value.tobytes()]


def _scalar(content: Any) -> object:
    written, data = content
    if written == "text":
        return _numpy().str_(data) if type(data) is str else _numpy().bytes_(data)
    return _array([written, [], data])[()]


# ---- pandas -------------------------------------------------------------------------------------------------------


def _pandas() -> Any:
    return importlib.import_module("pandas")


def _column_form(column: Any, convert: Convert) -> list[object]:
    """The values of a Series or an Index, by data type."""
    pd, np, dtype = _pandas(), _numpy(), column.dtype
    if isinstance(dtype, np.dtype):
        values = column.to_numpy()
        return ["objects", _cells(values, convert)] if dtype.hasobject else ["plain", _array_form(values)]
    if isinstance(dtype, pd.CategoricalDtype):
        codes = np.asarray(column.array.codes)
        return ["categories", _array_form(codes), _index_form(dtype.categories, convert), bool(dtype.ordered)]
    if isinstance(dtype, pd.DatetimeTZDtype):
        return ["zoned", dtype.unit, convert(dtype.tz), _array_form(column.array.asi8)]
    absent = np.asarray(column.isna())
    if type(dtype) is pd.StringDtype:
        cells = [None if no else str(cell) for no, cell in zip(absent, column.array, strict=True)]
        return ["strings", dtype.storage, dtype.na_value is pd.NA, convert(cells)]
    plain = getattr(dtype, "numpy_dtype", None)
    if isinstance(plain, np.dtype) and dtype.name in _MASKED:
        values = column.array.to_numpy(dtype=plain, na_value=plain.type(0))
        return ["masked", dtype.name, _array_form(values), _array_form(absent)]
    raise Refusal(f"pandas data type {dtype!s:.60} has no exact form", "cast it with .astype()")


_MASKED: Final = {
    **{f"{sign}Int{bits}" if sign else f"Int{bits}": "IntegerArray" for sign in ("", "U") for bits in (8, 16, 32, 64)},
    "Float32": "FloatingArray",
    "Float64": "FloatingArray",
    "boolean": "BooleanArray",
}


def _cells(values: Any, convert: Convert) -> list[object]:
    cells: list[object] = []
    try:
        for value in values:
            cells.append(convert(value))  # noqa: PERF401 - its length is the place of the cell at fault
    except Refusal as refusal:
        refusal.steps.append(f"[{len(cells)}]")
        raise
    return cells


def _column(content: Any) -> Any:
    """A numpy or pandas array."""
    pd, np = _pandas(), _numpy()
    kind, *rest = content
    if kind == "plain":
        return _array(rest[0])
    if kind == "objects":
        array = np.empty(len(rest[0]), dtype=object)
        for place, cell in enumerate(rest[0]):
            array[place] = cell
        return array
    if kind == "categories":
        return pd.Categorical.from_codes(_array(rest[0]), categories=_index(rest[1]), ordered=rest[2])
    if kind == "zoned":
        unit, zone, numbers = rest
        return pd.DatetimeIndex(_array(numbers).view(_dtype(f"M8[{unit}]"))).tz_localize("UTC").tz_convert(zone).array
    if kind == "strings":
        storage, is_na, cells = rest
        dtype = pd.StringDtype(storage) if is_na else pd.StringDtype(storage, na_value=np.nan)
        return pd.array(cells, dtype=dtype)
    if kind == "masked":
        return getattr(pd.arrays, _MASKED[rest[0]])(_array(rest[1]), _array(rest[2]))
    message = "no column"
    raise ValueError(message)


def _index_form(index: Any, convert: Convert) -> list[object]:
    pd = _pandas()
    names: list[object] = [convert(name) for name in index.names]
    if type(index) is pd.RangeIndex:
        return ["range", names, index.start, index.stop, index.step]
    if type(index) is pd.MultiIndex:
        codes = [_array_form(_numpy().asarray(code)) for code in index.codes]
        return ["levels", names, [_index_form(level, convert) for level in index.levels], codes]
    if tag_of(type(index)) != Tag.INDEX:
        raise Refusal(
            f"a pandas {type(index).__name__} has no exact form", "reset the index, or cast it with .astype()"
        )
    return ["index", names, _column_form(index, convert), getattr(index, "freqstr", None)]


def _index(content: Any) -> Any:
    pd = _pandas()
    kind, names, *rest = content
    if kind == "range":
        return pd.RangeIndex(*rest, name=names[0])
    if kind == "levels":
        levels, codes = rest
        return pd.MultiIndex([_index(level) for level in levels], [_array(code) for code in codes], names=names)
    column, freq = rest
    values = _column(column)
    index = pd.Index(values, dtype=values.dtype, name=names[0], tupleize_cols=False)
    if freq is not None:
        index.freq = freq
    return index


def _extras_form(value: Any, convert: Convert) -> list[object]:
    return [convert(value.attrs), value.flags.allows_duplicate_labels]


def _with_extras(value: Any, extras: Any) -> Any:
    attrs, duplicates = extras
    value.attrs = attrs
    return value if duplicates else value.set_flags(allows_duplicate_labels=False)


def _series_form(series: Any, convert: Convert) -> list[object]:
    index = _index_form(series.index, convert)
    return [convert(series.name), index, _column_form(series, convert), _extras_form(series, convert)]


def _series(content: Any) -> Any:
    name, index, column, extras = content
    values = _column(column)
    return _with_extras(_pandas().Series(values, index=_index(index), dtype=values.dtype, name=name), extras)


def _frame_form(frame: Any, convert: Convert) -> list[object]:
    columns: list[object] = []
    for place, label in enumerate(frame.columns):
        try:
            columns.append(_column_form(frame.iloc[:, place], convert))
        except Refusal as refusal:
            refusal.steps.append(f"[{label!r:.60}]")
            raise
    return [
        _index_form(frame.index, convert),
        _index_form(frame.columns, convert),
        columns,
        _extras_form(frame, convert),
    ]


def _frame(content: Any) -> Any:
    pd = _pandas()
    index, labels, columns, extras = content
    index, labels = _index(index), _index(labels)
    arrays = [_column(column) for column in columns]
    series = {place: pd.Series(array, index=index, dtype=array.dtype) for place, array in enumerate(arrays)}
    frame = pd.DataFrame(series, index=index)
    frame.columns = labels
    return _with_extras(frame, extras)


_WRITERS: Final[dict[int, Callable[[Any, Convert], Any]]] = {
    Tag.FRAME: _frame_form,
    Tag.SERIES: _series_form,
    Tag.INDEX: _index_form,
}
_READERS: Final[dict[int, Callable[[Any], Any]]] = {
    Tag.ARRAY: _array,
    Tag.SCALAR: _scalar,
    Tag.FRAME: _frame,
    Tag.SERIES: _series,
    Tag.INDEX: _index,
}
