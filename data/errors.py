"""The errors that a person may see. Each says what was wanted, what came, where, and what to do next."""


class WristwiseError(Exception):
    """Root of every error that Wristwise raises on purpose; the command line prints it as one sentence."""


class RecordingError(WristwiseError, ValueError):
    """A recording cannot be read, or does not hold what was asked of it."""


class ChannelError(RecordingError):
    """A channel is missing, empty, or of the wrong rate, unit or shape."""


class DataSetError(WristwiseError, LookupError):
    """A public data set is not there, is incomplete, or has no adapter."""


class NetworkError(WristwiseError, OSError):
    """A download cannot be done from here."""


class TaskError(WristwiseError, LookupError):
    """No task of that name, or a task was asked for what it does not do."""


class BundleError(WristwiseError, ValueError):
    """A bundle is missing, damaged, or does not fit the task or the input."""


class MissingExtraError(WristwiseError, ImportError):
    """An optional part of Wristwise is not installed."""
