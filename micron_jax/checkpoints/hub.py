"""Models on the Hugging Face Hub: their names, fetching and pushing them."""

import contextlib
import re
from collections.abc import Iterator
from pathlib import Path

from micron_jax.checkpoints import pth
from micron_jax.errors import UserError

_NAME = re.compile(r"[\w-][\w.-]*/[\w-][\w.-]*(@[\w./-]+)?(:[\w-][\w./-]*)?")
# Of a folder of ours; no kind of file among them can run anything.
_FOLDER = [
    "config.json", "model.safetensors", "model.safetensors.index.json", "model-*.safetensors",
    "classifier.json", "classifier.safetensors", "README.md",
]  # fmt: skip


def is_name(text: str) -> bool:
    """Tests if `text` could be OWNER/NAME[@REVISION][:FILE], and no file's name."""
    is_file = _is_checkpoint(text) or text.lower().endswith(".npz")
    return bool(_NAME.fullmatch(text)) and (":" in text or not is_file)


def _is_checkpoint(name: str) -> bool:
    return pth.is_file_name(name) or name.lower().endswith(".safetensors")


def fetch(
    name: str,
    *,
    token: str | None = None,
    cache_dir: str | Path | None = None,
    local_files_only: bool = False,
) -> Path:
    """The folder or file of a model on the Hub, downloaded unless it was before.

    Args:
      name: OWNER/NAME or OWNER/NAME@REVISION: its folder (`config.json` and `.safetensors`), or,
        where it has none, its only `.pth` or `.safetensors`; with `:FILE` after it, that file. A
        `.pth` is read without running anything.
      token, cache_dir, local_files_only: as `huggingface_hub` has them.

    Raises:
      UserError: the `hub` extra is missing, there is no such model, or no way to reach it.
    """
    here = f"{name}: no such file or folder here"
    library = _library(f"{here}; to look for it on the Hugging Face Hub")
    repository, _, file = name.partition(":")
    repository, _, revision = repository.partition("@")
    settings = {"revision": revision or None, "token": token, "cache_dir": cache_dir}
    settings["local_files_only"] = local_files_only
    with _in_one_line(name, here):
        if not file:
            download = library.snapshot_download
            folder = Path(download(repository, allow_patterns=_FOLDER, **settings))
            if (folder / "config.json").is_file():
                return folder
            file = _only_checkpoint(name, folder, revision=revision or None, token=token)
        return Path(library.hf_hub_download(repository, file, **settings))


def _only_checkpoint(name: str, folder: Path, *, revision: str | None, token: str | None) -> str:
    """The one checkpoint of a model that has no folder of ours, by its path in the repository."""
    import huggingface_hub
    from huggingface_hub import errors

    repository = name.partition("@")[0]
    try:
        files = huggingface_hub.HfApi(token=token).list_repo_files(repository, revision=revision)
    except errors.OfflineModeIsEnabled:  # what was fetched before
        files = [str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()]
    checkpoints = sorted(filter(_is_checkpoint, files))
    if not checkpoints:
        raise UserError(f"{name}: holds no config.json and no .pth, so no Micron-BERT")
    if len(checkpoints) > 1:
        raise UserError(
            f"{name}: holds no config.json and {len(checkpoints)} checkpoints; name one of them, "
            f"as {name}:{checkpoints[0]}"
        )
    return checkpoints[0]


def push(
    folder: Path,
    repository: str,
    *,
    token: str | None = None,
    private: bool | None = None,
    revision: str | None = None,
    message: str = "Add Micron-BERT",
) -> str:
    """Uploads a folder into a model on the Hub, which is made where there is none.

    Args:
      repository: OWNER/NAME, or NAME for one of the user's own.
      revision: a branch, made where there is none; None is `main`.

    Returns:
      The address of the commit.

    Raises:
      UserError: the `hub` extra is missing, the user may not write there, or it cannot be reached.
    """
    library = _library(f"{repository}: to push to the Hugging Face Hub")
    with _in_one_line(repository, f"{repository}: cannot be made"):
        api = library.HfApi(token=token)
        there = api.create_repo(repository, private=private, exist_ok=True).repo_id
        if revision:
            api.create_branch(there, branch=revision, exist_ok=True)
        settings = {"folder_path": folder, "revision": revision, "commit_message": message}
        return api.upload_folder(repo_id=there, **settings).commit_url


def _library(purpose: str):
    try:
        import huggingface_hub
    except ImportError as error:
        raise UserError(f"{purpose}: pip install 'micron-jax[hub]'") from error
    return huggingface_hub


@contextlib.contextmanager
def _in_one_line(name: str, here: str) -> Iterator[None]:
    """Raises a `UserError` of one line for what the Hub's client raises."""
    from huggingface_hub import errors

    try:
        from httpx import HTTPError  # of the client since 1.0
    except ImportError:
        HTTPError = OSError  # noqa: N806
    try:
        yield
    except errors.GatedRepoError as error:
        mend = "its owner has to grant you access; ask on its page, then: hf auth login"
        raise UserError(f"{name}: {mend}") from error
    except (errors.RepositoryNotFoundError, errors.RevisionNotFoundError) as error:
        raise UserError(f"{here}, nor a model or revision of that name on the Hub") from error
    except (errors.LocalEntryNotFoundError, errors.OfflineModeIsEnabled) as error:
        why = "and the Hugging Face Hub cannot be reached: go online, or copy the folder"
        raise UserError(f"{here}, {why}") from error
    except (OSError, ValueError, errors.HfHubHTTPError, HTTPError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        mend = ""
        if getattr(getattr(error, "response", None), "status_code", 0) in (401, 403):
            mend = "; log in with a token that may do it: hf auth login"
        raise UserError(
            f"{name}: the Hugging Face Hub refuses or fails ({reason}){mend}"
        ) from error
