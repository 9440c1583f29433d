"""A rule's log: progress, warnings and, when something fails, the reason."""

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from seqtrust.errors import InputError

logger = logging.getLogger("seqtrust")


@contextmanager
def log_to(path: str | Path) -> Iterator[logging.Logger]:
    """Send progress, warnings and a traceback to a rule's log.

    An `InputError` ends the script with its message alone, on the terminal and in the log:
    the user can mend it and needs no traceback. Anything else is logged with its traceback
    and raised.
    """
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    handler = logging.FileHandler(path, mode="w")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    logger.addHandler(handler)
    warnings_logger = logging.getLogger("py.warnings")
    warnings_logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    logging.captureWarnings(True)
    try:
        yield logger
    except InputError as error:
        logger.error("%s", error)
        sys.exit(f"Error: {error}")
    except Exception:
        logger.exception("the rule failed")
        raise
    finally:
        logging.captureWarnings(False)
        logger.removeHandler(handler)
        warnings_logger.removeHandler(handler)
        handler.close()
