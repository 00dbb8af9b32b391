"""The test run itself: a skip is a failure, and the closing line tells the truth."""

from pathlib import Path

import pytest

from deploy import closing

pytest_plugins = ("pytester",)

ROOT = Path(__file__).resolve().parents[3]


def test_a_skipped_test_fails_unless_it_is_allowed(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        test_tools="""
        import pytest

        def test_needs_a_tool():
            pytest.skip("no chromium here")

        @pytest.mark.skipif(True, reason="no ssh here")
        def test_needs_another():
            pass

        def test_is_not_for_this_database():
            pytest.skip("allowed: PostgreSQL has no such mode")

        @pytest.mark.xfail
        def test_is_known_to_fail():
            raise AssertionError
        """
    )
    done = pytester.runpytest("-p", "tests.kit.nothing_skipped")
    done.assert_outcomes(failed=1, skipped=1, xfailed=1, errors=1)
    done.stdout.fnmatch_lines(["*no chromium here: nothing is skipped in this run*"])


def test_a_module_that_skips_itself_is_an_error(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(test_module="import pytest\npytest.importorskip('there_is_no_such_module')")
    pytester.runpytest("-p", "tests.kit.nothing_skipped").assert_outcomes(errors=1)


def test_closing_lines_are_added_up(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one, two = tmp_path / "unit.log", tmp_path / "alone.log"
    one.write_text("....\n850 passed, 1 warning in 30.50s\n")
    two.write_text("==== 1 failed, 40 passed, 2 errors in 99.25s (0:01:39) ====\n")
    assert closing.main([str(one), str(two)]) == 1
    assert capsys.readouterr().out == "==== 1 failed, 890 passed, 1 warnings, 2 errors in 129.75s (2:09 min) ====\n"
    assert closing.main([str(one)]) == 0


def test_a_run_that_died_is_a_failure(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log = tmp_path / "alone.log"
    log.write_text("......\nINTERNALERROR\n")
    assert closing.main([str(log)]) == 1
    assert "did not end: alone" in capsys.readouterr().out


def test_every_folder_of_tests_is_run() -> None:
    text = (ROOT / "deploy/test.sh").read_text()
    named = text.split("alone=(")[1].split(")")[0].split()
    assert [folder for folder in named if not (ROOT / folder).is_dir()] == []
