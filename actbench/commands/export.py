"""`actbench export`: a results folder as one file to hand on."""

import zipfile
from pathlib import Path

from actbench.commands.report import read_request, written_folder
from actbench.errors import UsageError
from actbench.signals import replaced_file
from actbench.store.folder import folder_lock

COMMAND = "COMMAND.txt"
_DATE = (1980, 1, 1, 0, 0, 0)  # of each entry: the same results make the same file


def export(experiment: str, out: str | None) -> int:
    """Packs report, figures, tables, environment and the exact command into a ZIP file. Returns the exit code.

    out: the file, experiment.zip by default. Raises UsageError where there are no results, or a file cannot be written.
    """
    folder = written_folder(experiment)
    path = Path(out) if out is not None else Path(f"{experiment}.zip")
    if path.suffix != ".zip":
        raise UsageError(f"{path}: name a file that ends in .zip")
    if path.resolve().is_relative_to(folder.resolve()):
        raise UsageError(f"{path}: lies in the folder that is packed; name a place outside of it")
    request = read_request(folder)
    with folder_lock(folder, "export", wait=False):
        files = sorted(file for file in folder.rglob("*") if file.is_file() and not file.name.startswith("."))
        try:
            with replaced_file(path) as scratch, zipfile.ZipFile(scratch, "w", zipfile.ZIP_DEFLATED) as archive:
                text = f"{request.command}\nactbench {request.versions.get('actbench', '')}, {request.revision}\n"
                archive.writestr(zipfile.ZipInfo(f"{experiment}/{COMMAND}", _DATE), text)
                for file in files:
                    entry = zipfile.ZipInfo(f"{experiment}/{file.relative_to(folder).as_posix()}", _DATE)
                    entry.compress_type = zipfile.ZIP_DEFLATED
                    archive.writestr(entry, file.read_bytes())
        except OSError as error:
            raise UsageError(f"cannot write {path}: {error.strerror or error}") from error
    print(f"{path}: {len(files) + 1} files")
    return 0
