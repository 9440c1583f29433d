"""A rule's log: mistakes of the user end with their message, others with their traceback."""

import logging
import warnings

import pytest

from seqtrust.errors import InputError
from seqtrust.logs import log_to, logger


def test_an_input_error_ends_with_its_message_and_no_traceback(tmp_path):
    def run():
        with log_to(tmp_path / "rule.log"):
            raise InputError("genes.gtf, line 3: no strand; add one")

    with pytest.raises(SystemExit) as end:
        run()
    # Python prints a text code to the terminal and ends with status 1
    assert end.value.code == "Error: genes.gtf, line 3: no strand; add one"
    text = (tmp_path / "rule.log").read_text()
    assert "ERROR genes.gtf, line 3: no strand; add one" in text
    assert "Traceback" not in text


def test_another_error_is_logged_with_its_traceback_and_raised(tmp_path):
    def run():
        with log_to(tmp_path / "rule.log"):
            raise ZeroDivisionError("by nothing")

    with pytest.raises(ZeroDivisionError):
        run()
    text = (tmp_path / "rule.log").read_text()
    assert "Traceback" in text
    assert "ZeroDivisionError: by nothing" in text


def test_progress_and_warnings_are_logged(tmp_path):
    with log_to(tmp_path / "deep" / "rule.log") as log, warnings.catch_warnings():
        warnings.simplefilter("always")
        log.info("%d sequences", 12)
        warnings.warn("the track is flat", stacklevel=1)
    text = (tmp_path / "deep" / "rule.log").read_text()
    assert "INFO 12 sequences" in text
    assert "WARNING" in text
    assert "the track is flat" in text


@pytest.mark.parametrize("error", [None, InputError("wrong"), ValueError("broken")])
def test_the_log_is_closed_whatever_happens(tmp_path, error):
    before = list(logger.handlers), list(logging.getLogger("py.warnings").handlers)
    path = tmp_path / "rule.log"

    def run():
        with log_to(path):
            if error:
                raise error

    if error:
        with pytest.raises((SystemExit, ValueError)):
            run()
    else:
        run()
    size = path.stat().st_size
    logger.info("after the rule")
    assert path.stat().st_size == size
    assert before == (logger.handlers, logging.getLogger("py.warnings").handlers)


def test_a_second_run_starts_a_new_log(tmp_path):
    for number in (1, 2):
        with log_to(tmp_path / "rule.log") as log:
            log.info("run %d", number)
    assert "run 1" not in (tmp_path / "rule.log").read_text()
