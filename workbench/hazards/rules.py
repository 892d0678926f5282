"""What agent code may not ask for directly, as data: each name with the reason, and with what to use instead.

A name stands for calls of it. A package or module in `PACKAGES` stands for all calls of what is in it.
"""

from typing import Final, NamedTuple


class Advice(NamedTuple):
    """Why replay cannot repeat something, and what to use instead."""

    why: str
    use: str


CLOCK: Final = Advice("replay runs this line again, at another time", "use wb.now()")
PAUSE: Final = Advice("it stops the session's thread, and replay would wait again", "use await asyncio.sleep(...)")
CHANCE: Final = Advice("replay would draw another number", "use wb.random()")
IDENTITY: Final = Advice("replay would make another id", "use wb.uuid4()")
OUTSIDE: Final = Advice(
    "it reaches outside the agent, where replay may find something else", "use await wb.step(function, ...)"
)
ADDRESS: Final = Advice(
    "another process gives another number", "use a key that is part of the value, or zlib.crc32(...) of its bytes"
)
ECHO: Final = Advice("each replay writes it again", "use print(...) or wb.log(...), which are recorded")
SET_ORDER: Final = Advice("another process orders a set in another way", "use sorted(...)")

_NAMES: Final = (
    (
        CLOCK,
        "time",
        {
            "asctime", "clock_gettime", "clock_gettime_ns", "ctime", "gmtime", "localtime", "monotonic", "monotonic_ns",
            "perf_counter", "perf_counter_ns", "process_time", "process_time_ns", "strftime", "thread_time",
            "thread_time_ns", "time", "time_ns",
        },
    ),
    (PAUSE, "time", {"sleep"}),
    (CLOCK, "datetime.datetime", {"fromtimestamp", "now", "today", "utcnow"}),
    (CLOCK, "datetime.date", {"today"}),
    (CLOCK, "pandas.Timestamp", {"now", "today", "utcnow"}),
    (CHANCE, "os", {"getrandom", "urandom"}),
    (IDENTITY, "uuid", {"getnode", "uuid1", "uuid4", "uuid6", "uuid7"}),
    (
        OUTSIDE,
        "os",
        {
            "access", "chdir", "cpu_count", "fork", "getcwd", "getenv", "getloadavg", "getlogin", "getpid", "getppid",
            "kill", "listdir", "lstat", "makedirs", "mkdir", "open", "popen", "putenv", "read", "remove", "removedirs",
            "rename", "replace", "rmdir", "scandir", "stat", "system", "times", "uname", "unlink", "unsetenv", "walk",
            "write",
        },
    ),
    (
        OUTSIDE,
        "os.path",
        {
            "abspath", "exists", "expanduser", "expandvars", "getatime", "getctime", "getmtime", "getsize", "isdir",
            "isfile", "islink", "lexists", "realpath",
        },
    ),
    (OUTSIDE, "builtins", {"input", "open"}),
    (OUTSIDE, "pathlib.Path", {"cwd", "home"}),
    (OUTSIDE, "urllib.request", {"urlopen", "urlretrieve"}),
    (
        OUTSIDE,
        "asyncio",
        {"create_subprocess_exec", "create_subprocess_shell", "open_connection", "start_server", "to_thread"},
    ),
    (OUTSIDE, "threading", {"Thread", "Timer", "active_count", "current_thread", "get_ident", "get_native_id"}),
    (OUTSIDE, "concurrent.futures", {"ProcessPoolExecutor", "ThreadPoolExecutor"}),
    (OUTSIDE, "bz2", {"open"}),
    (OUTSIDE, "codecs", {"open"}),
    (OUTSIDE, "gzip", {"open"}),
    (OUTSIDE, "lzma", {"open"}),
    (OUTSIDE, "numpy", {"fromfile", "genfromtxt", "load", "loadtxt", "save", "savetxt", "savez"}),
    (
        OUTSIDE,
        "pandas",
        {
            "read_csv", "read_excel", "read_feather", "read_hdf", "read_html", "read_json", "read_parquet",
            "read_pickle", "read_sql", "read_table",
        },
    ),
    (OUTSIDE, "getpass", {"getpass", "getuser"}),
    (OUTSIDE, "locale", {"currency", "getlocale", "getpreferredencoding", "localeconv", "setlocale", "strcoll"}),
    (ADDRESS, "builtins", {"hash", "id"}),
    (ECHO, "pprint", {"pp", "pprint"}),
    (ECHO, "sys.stdout", {"write", "writelines"}),
    (ECHO, "sys.stderr", {"write", "writelines"}),
    (ECHO, "logging", {"critical", "debug", "error", "exception", "info", "log", "warning"}),
    (ECHO, "logging.Logger", {"critical", "debug", "error", "exception", "info", "log", "warning"}),
    (ECHO, "IPython.display", {"display", "display_html", "display_markdown", "display_png", "display_svg"}),
)  # fmt: skip
"""Advice, module or class, names of what is called there."""

CALLS: Final = {f"{owner}.{name}": advice for advice, owner, names in _NAMES for name in names}
"""Dotted name of what is called -> advice."""

HOMES: Final[dict[str, list[str]]] = {"datetime": ["datetime"], "date": ["datetime"], "Path": ["pathlib"]}
"""Last part of a name -> modules in which it may be found, for things that tell another name of themselves."""
for _advice, _owner, _names in _NAMES:
    for _name in sorted(_names):
        HOMES.setdefault(_name, []).append(_owner)
HOMES["Timestamp"] = ["pandas"]

PACKAGES: Final = {
    "random": CHANCE,
    "secrets": CHANCE,
    "numpy.random": CHANCE,
    **dict.fromkeys(
        (
            "aiohttp", "anthropic", "boto3", "ftplib", "glob", "http.client", "httpx", "multiprocessing", "openai",
            "paramiko", "platform", "psycopg", "psycopg2", "pymongo", "redis", "requests", "shutil", "smtplib",
            "socket", "sqlite3", "subprocess", "tempfile", "urllib3", "websockets",
        ),
        OUTSIDE,
    ),
}  # fmt: skip
"""Package or module -> advice for each call of something in it."""

HARMLESS: Final = frozenset(
    {
        "glob.escape",
        "glob.translate",
        "secrets.compare_digest",
        "shutil.get_terminal_size",
        "socket.htonl",
        "socket.htons",
        "socket.inet_aton",
        "socket.inet_ntoa",
        "socket.ntohl",
        "socket.ntohs",
        "subprocess.list2cmdline",
    }
)
"""Calls in those packages that give the same for the same arguments."""
HARMLESS_PARTS: Final = frozenset({"errors", "exceptions", "models", "types", "typing", "utils"})
"""Parts of those packages that hold plain values."""
HARMLESS_ENDINGS: Final = ("Error", "Exception", "Headers", "Limits", "Response", "Row", "Timeout", "URL", "Warning")
"""Ends of names of plain values."""

ARGUMENTS: Final = {
    "datetime.datetime.fromtimestamp": 2,
    "numpy.random.Generator": 1,
    "numpy.random.MT19937": 1,
    "numpy.random.PCG64": 1,
    "numpy.random.Philox": 1,
    "numpy.random.RandomState": 1,
    "numpy.random.SeedSequence": 1,
    "numpy.random.default_rng": 1,
    "random.Random": 1,
    "time.asctime": 1,
    "time.gmtime": 1,
    "time.strftime": 2,
}
"""Calls that repeat themselves when they are given this many arguments: a moment, a time zone, a seed."""

PATH_METHODS: Final = frozenset(
    {
        "absolute", "chmod", "exists", "expanduser", "glob", "group", "is_dir", "is_file", "is_symlink", "iterdir",
        "lstat", "mkdir", "open", "owner", "read_bytes", "read_text", "readlink", "rename", "replace", "resolve",
        "rglob", "rmdir", "samefile", "stat", "symlink_to", "touch", "unlink", "walk", "write_bytes", "write_text",
    }
)  # fmt: skip
"""Methods of a path that look at the disk."""
PATH_PATHS: Final = frozenset({"joinpath", "with_name", "with_stem", "with_suffix", "relative_to"})
"""Methods of a path that give another path."""

ENVIRONMENT: Final = frozenset({"environ", "environb"})
"""Attributes of `os` of which each mention counts."""
