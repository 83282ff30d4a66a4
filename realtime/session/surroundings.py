"""What a session needs of the machine, checked before anything is read."""

from gscon_live.common.errors import InputError
from gscon_live.realtime.pipeline import bus

#: Number of files, pipes and sockets that must be allowed. The first process of a replay has most:
#: 37 at once. Each subscriber needs one more.
OPEN_FILES = 64
#: The number to which the limit is raised where that is allowed.
_ENOUGH = 1024


def check_surroundings() -> None:
    """Refuses a machine on which no session can run. Raises this process's limit of open files as
    far as its user may.

    Raises:
        InputError: there is no folder for temporary files, its path is too long for sockets, or too
            few files may be open.
    """
    bus.sockets_folder()
    try:
        import resource
    except ImportError:  # Windows has no such limit
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = _ENOUGH if hard == resource.RLIM_INFINITY else min(_ENOUGH, hard)
    if soft != resource.RLIM_INFINITY and soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
        soft = most
    if soft != resource.RLIM_INFINITY and soft < OPEN_FILES:
        raise InputError(
            f"at most {soft} files may be open, and a session needs {OPEN_FILES}; raise the limit "
            "with ulimit -n 1024"
        )
