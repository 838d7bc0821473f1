"""Converted folders on the Hugging Face Hub."""

import re
from pathlib import Path

from micron_jax.checkpoints import pth
from micron_jax.errors import UserError

_NAME = re.compile(r"[\w-][\w.-]*/[\w-][\w.-]*(@[\w./-]+)?")


def is_name(text: str) -> bool:
    """Tests if `text` could be OWNER/NAME or OWNER/NAME@REVISION, and no file's name."""
    is_file = pth.is_file_name(text) or text.lower().endswith((".safetensors", ".npz"))
    return bool(_NAME.fullmatch(text)) and not is_file


def fetch(name: str) -> Path:
    """The folder of a model on the Hub, OWNER/NAME[@REVISION], downloaded unless it was before.

    Only `.json` and `.safetensors` are fetched, neither of which can run anything.

    Raises:
      UserError: the `hub` extra is missing, there is no such model, or no way to reach it.
    """
    here = f"{name}: no such file or folder here"
    try:
        import huggingface_hub
        from huggingface_hub import errors
    except ImportError as error:
        mend = "to look for it on the Hugging Face Hub: pip install 'micron-jax[hub]'"
        raise UserError(f"{here}; {mend}") from error
    repository, _, revision = name.partition("@")
    patterns = ["config.json", "model.safetensors", "classifier.json", "classifier.safetensors"]
    settings = {"revision": revision or None, "allow_patterns": patterns}
    try:
        return Path(huggingface_hub.snapshot_download(repository, **settings))
    except errors.GatedRepoError as error:
        mend = "its owner has to grant you access; ask on its page, then: hf auth login"
        raise UserError(f"{name}: {mend}") from error
    except (errors.RepositoryNotFoundError, errors.RevisionNotFoundError) as error:
        raise UserError(f"{here}, nor a model or revision of that name on the Hub") from error
    except (errors.LocalEntryNotFoundError, errors.OfflineModeIsEnabled) as error:
        why = "and the Hugging Face Hub cannot be reached: go online, or copy the folder"
        raise UserError(f"{here}, {why}") from error
    except (OSError, ValueError, errors.HfHubHTTPError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise UserError(f"{name}: cannot be fetched from the Hub ({reason})") from error
