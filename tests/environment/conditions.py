"""The conditions, and what each face of the library is to do in them, as data. README.md says how a row is added."""

import dataclasses
import itertools

# The faces that are a program of ours; the command is run as a user runs it.
PROGRAMS = ("c", "python", "node", "php", "go")
ALL = (*PROGRAMS, "command")
# Those whose program can have rights of its own.
COMPILED = ("c", "go")

# Verdicts.
GOES_ON = "goes on"
# Where a limit of the system decides how far a call comes: an error that says which, and nothing was sent; or all goes on.
SAYS_SO_OR_GOES_ON = "says so, or goes on"


@dataclasses.dataclass(frozen=True)
class Refused:
    """Building the manager, or else the first call, fails with that code; message or hint name these words."""

    code: str
    words: str = ""


@dataclasses.dataclass(frozen=True)
class Condition:
    """One condition. What is not said is as on any machine."""

    name: str
    wanted: object
    faces: tuple = ALL
    # Limits that are set when the program runs, and lifted again after the first round of calls.
    limits: dict = dataclasses.field(default_factory=dict)
    # As which user; root is bound by few of the limits.
    user: str | None = None
    # Environment variables, over those of every program. None: not set. Bytes are as they are.
    variables: dict = dataclasses.field(default_factory=dict)
    # Options that are given to the manager itself: names and values.
    options: dict = dataclasses.field(default_factory=dict)
    # Standard streams that are closed.
    closed: tuple = ()
    # Commands of a shell, run as root before the program, in a mount namespace with a small /dev/shm of its own.
    # UID and GID are those of the program.
    before: str = ""
    # The program is a copy that the system runs in secure mode.
    secure: bool = False
    # How many managers, each of a merchant of its own.
    merchants: int = 1
    # How many processes, one after another in each round; they share one token.
    processes: int = 1
    # As the first round of calls has ended this user, with the program's group, locks the files of all locks and says nothing, and
    # the token is revoked. Each process then gets one of its own, within ten times the 2 s that are promised, and tells why.
    holder: str | None = None
    # The program takes events, as all do that meet a holder.
    listens: bool = False
    # What a token says of its life, in seconds.
    expires_in: int = 60
    # Of one process of ours, at the most.
    most_descriptors: int | None = None


PREFIX = "EIGHTY_EIGHT_PAY_"
NOT_UTF8 = b"\xff\xfe"


def limits():
    for user in (None, "nobody"):
        as_user = f" as {user}" if user else ""
        without_go = tuple(face for face in ALL if face != "go")
        yield Condition(f"RLIMIT_FSIZE 0{as_user}", GOES_ON, without_go, {"FSIZE": 0}, user)
        # The copy of the library that is inside the program is loaded from a file.
        yield Condition(f"RLIMIT_FSIZE 0{as_user}", SAYS_SO_OR_GOES_ON, ("go",), {"FSIZE": 0}, user)
        for number in (8, 16, 32):
            yield Condition(f"RLIMIT_NOFILE {number}{as_user}", SAYS_SO_OR_GOES_ON, PROGRAMS, {"NOFILE": number}, user)
    # Go itself ends a program that gets no thread.
    yield Condition("RLIMIT_NPROC 0", GOES_ON, ("c", "python", "php"), {"NPROC": 0}, "nobody")
    # Its calls need a thread of the library.
    yield Condition("RLIMIT_NPROC 0", SAYS_SO_OR_GOES_ON, ("node",), {"NPROC": 0}, "nobody")
    no_events = Refused("internal", "No thread for events")
    yield Condition("RLIMIT_NPROC 0 and a subscriber", no_events, ("node",), {"NPROC": 0}, "nobody", listens=True)


def files():
    yield Condition("a full /dev/shm", GOES_ON, before="head -c 1M /dev/zero >/dev/shm/full 2>/dev/null || true")
    yield Condition("a read-only /dev/shm", GOES_ON, before="mount -t tmpfs -o ro none /dev/shm")
    yield Condition("/dev/shm without a place for another file", GOES_ON, before="mount -t tmpfs -o nr_inodes=1,size=64k none /dev/shm")


def streams():
    for count in (1, 2, 3):
        for closed in itertools.combinations(range(3), count):
            # What it prints is its answer.
            faces = PROGRAMS if 1 in closed else ALL
            yield Condition(f"closed: {closed}", GOES_ON, faces, closed=closed)


def authorities():
    """Who is trusted, where the environment names somebody."""
    bundle = f"{PREFIX}CA_BUNDLE"
    for name in ("SSL_CERT_FILE", "SSL_CERT_DIR"):
        named = {name: "AUTHORITY_FILE" if name == "SSL_CERT_FILE" else "AUTHORITY_DIRECTORY"}
        nobody = {name: "/nonexistent"}
        yield Condition(f"{name} names the authority", GOES_ON, variables={bundle: None, **named})
        yield Condition(f"{name} names nothing, ca_bundle the authority", GOES_ON, variables=nobody)
        yield Condition(
            f"{name}, without the environment",
            Refused("tls_failed"),
            ("c",),
            variables=named,
            options={"without_environment": None, "api_key": "KEY", "merchant_id": "MERCHANT", "base_url": "BASE_URL"},
        )
        yield Condition(
            f"{name}, in a program with rights of its own",
            Refused("tls_failed"),
            COMPILED,
            variables=named,
            options={"api_key": "KEY", "merchant_id": "MERCHANT", "base_url": "BASE_URL"},
            secure=True,
            user="nobody",
        )
    yield Condition("a program with rights of its own", Refused("config_invalid", "api_key"), COMPILED, secure=True, user="nobody")


def variables(options):
    """Every option of the table: a blank variable counts as none, and one that cannot be read is refused."""
    blank = {
        "api_key": Refused("config_invalid", f"{PREFIX}API_KEY"),
        "merchant_id": Refused("config_invalid", f"{PREFIX}MERCHANT_ID"),
        # The system's authorities, which do not know the sandbox; 88Pay itself, to which no way leads.
        "ca_bundle": Refused("tls_failed"),
        "base_url": Refused("connection_failed"),
    }
    no_way = {f"{PREFIX}PROXY": "http://127.0.0.1:1"}
    for option in options:
        name = f"{PREFIX}{option.upper()}"
        more = no_way if option == "base_url" else {}
        yield Condition(f"{name} is blank", blank.get(option, GOES_ON), variables={**more, name: " "})
        yield Condition(f"{name} is not UTF-8", Refused("config_invalid", name), variables={name: NOT_UTF8})


def neighbours():
    """Another user of the machine was there first."""
    names = "for n in '' -1 -2 -3 .1 .2 .3; do install -d -m 700 -o daemon /dev/shm/pay88-UID$n; done"
    yield Condition("another user has the names in /dev/shm", GOES_ON, PROGRAMS, user="nobody", before=names, processes=2)
    yield Condition("one token for two processes", GOES_ON, PROGRAMS, user="nobody", processes=2)
    share = {f"{PREFIX}SHARE": "host:/dev/shm/of-daemon"}
    yield Condition(
        "another user's directory for host:<dir>",
        GOES_ON,
        PROGRAMS,
        user="nobody",
        variables=share,
        before="install -d -m 700 -o daemon /dev/shm/of-daemon",
    )
    yield Condition(
        "a directory of the group for host:<dir>",
        GOES_ON,
        PROGRAMS,
        variables=share,
        before="install -d -m 2770 -o daemon -g root /dev/shm/of-daemon",
        processes=2,
    )
    yield Condition(
        "another user of the group holds the locks of host:<dir>",
        GOES_ON,
        user="nobody",
        variables=share,
        before="install -d -m 2770 -o daemon -g GID /dev/shm/of-daemon",
        processes=2,
        holder="daemon",
    )


def many():
    # On a busy machine two rounds of calls take more than a minute.
    yield Condition("1,000 merchants", GOES_ON, PROGRAMS, merchants=1000, expires_in=3600, most_descriptors=256)


def conditions(options):
    return [*limits(), *files(), *streams(), *authorities(), *variables(options), *neighbours(), *many()]
