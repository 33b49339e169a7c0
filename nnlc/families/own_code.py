"""Messages on exceptions that the code of a user's own family raised."""

import sys
import traceback

from nnlc.wording import exception_words


def what_was_raised(family: object, problem: BaseException) -> str:
    """Return kind, text and place of an exception that a family's code raised.

    The place is the innermost line of the module that defines the family, if it is among them.
    """
    module = sys.modules.get(type(family).__module__)
    file = getattr(module, "__file__", None)
    frames = traceback.extract_tb(problem.__traceback__)
    own = [frame for frame in frames if frame.filename == file] or frames[-1:]
    place = f" ({own[-1].filename}, line {own[-1].lineno})" if own else ""
    return exception_words(problem) + place
