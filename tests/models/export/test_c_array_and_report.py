"""The C array compiles and holds the file to the byte; the report adds up."""

import shutil
import subprocess
from pathlib import Path

import pytest

from models.export.c_array import CNameError, to_c_array
from models.export.probes import conv_probe
from models.export.report import size_report


@pytest.mark.skipif(shutil.which("g++") is None, reason="needs a C++ compiler, g++")
def test_the_c_array_compiles_and_is_the_file_to_the_byte(tmp_path: Path) -> None:
    data = conv_probe(4, 8, 5, 64, "int8")
    header, source = to_c_array(data, "heart_rate", arena_bytes=4096).save(tmp_path)
    main = tmp_path / "main.cc"
    main.write_text(
        f'#include "{header.name}"\n#include <cstdio>\n#include <cstdint>\n'
        'static_assert(HEART_RATE_INPUT_0_SIZE == 256 && HEART_RATE_INPUT_0_IS_INT8, "input");\n'
        'static_assert(HEART_RATE_OUTPUT_0_SIZE == 512 && HEART_RATE_ARENA_BYTES == 4096, "output");\n'
        "float scale = HEART_RATE_INPUT_0_SCALE; int zero = HEART_RATE_INPUT_0_ZERO_POINT;\n"
        "int main() { if (reinterpret_cast<std::uintptr_t>(heart_rate_model) % 16) return 1;\n"
        "  return std::fwrite(heart_rate_model, 1, heart_rate_model_len, stdout) != heart_rate_model_len; }\n"
    )
    program = tmp_path / "program"
    subprocess.run(["g++", "-Wall", "-Werror", "-o", program, source, main], check=True, cwd=tmp_path)
    assert subprocess.run([program], check=True, capture_output=True).stdout == data


def test_a_name_that_is_no_c_identifier_is_refused() -> None:
    with pytest.raises(CNameError, match="heart-rate"):
        to_c_array(conv_probe(4, 4, 3, 16, "int8"), "heart-rate")


def test_the_report_adds_up() -> None:
    data = conv_probe(4, 8, 5, 64, "int8")
    report = size_report(data, runs=5)
    (row,) = report.rows
    assert row.parameters == 8 * 5 * 4 + 8
    assert row.weight_bytes == 8 * 5 * 4 + 8 * 4
    assert report.overhead_bytes + row.weight_bytes == len(data) == report.sizes.raw
    assert "CONV_2D" in report.table()
    assert report.entry()["rows"][0]["macs"] == row.macs
