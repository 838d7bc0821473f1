"""Kinds of files in folders of clips, by their suffixes: films, and what is not read and why."""

import os

VIDEOS = (
    *(".3g2", ".3gp", ".asf", ".avi", ".divx", ".dv", ".f4v", ".flv", ".m2t", ".m2ts"),
    *(".m4v", ".mkv", ".mod", ".mov", ".mp4", ".mpe", ".mpeg", ".mpg", ".mts", ".mxf"),
    *(".nut", ".ogm", ".ogv", ".qt", ".rm", ".rmvb", ".tod", ".ts", ".vob", ".webm", ".wmv"),
    *(".wtv", ".y4m"),
)

# Suffixes that other files have, too, such as programs in TypeScript, and the films' first bytes.
_TRANSPORT, _PROGRAM, _VIDEO = b"\x47", b"\x00\x00\x01\xba", b"\x00\x00\x01\xb3"
_AMBIGUOUS = {
    **dict.fromkeys((".m2t", ".m2ts", ".mts", ".ts"), "an MPEG transport stream"),
    **dict.fromkeys((".mod", ".tod", ".vob"), "a camcorder's or a DVD's film"),
    ".dv": "a DV film",
}

# Folders of thumbnails and of removed files, which storage devices and systems make.
SYSTEM_FOLDERS = ("@eadir", "#recycle", "#snapshot", "$recycle.bin", "__macosx", "lost+found")

# Files that stand beside clips and are none: they are counted, and that is all.
COMPANIONS = (
    *(".aac", ".au", ".avs", ".bak", ".bdm", ".bib", ".bup", ".cfg", ".cpi", ".csv", ".db"),
    *(".doc", ".docx", ".flac", ".htm", ".html", ".ifo", ".ini", ".ipynb", ".json", ".jsonl"),
    *(".lnk", ".log", ".m", ".m4a", ".md", ".md5", ".mp3", ".mpl", ".odt", ".ods", ".ogg", ".pdf"),
    *(".ppt", ".pptx", ".py", ".r", ".rst", ".rtf", ".sav", ".sh", ".sha1", ".sha256", ".srt"),
    *(".ssa", ".tex", ".thm", ".toml", ".tsv", ".txt", ".url", ".vtt", ".wav", ".wma", ".xls"),
    *(".xlsm", ".xlsx", ".xml", ".yaml", ".yml"),
)
_COMPANION_NAMES = ("authors", "citation", "license", "makefile", "readme", "version")

_RAW = (".3fr", ".arw", ".cr2", ".cr3", ".dng", ".erf", ".nef", ".nrw", ".orf", ".pef", ".raf")
_CONVERT = "convert to JPEG or PNG"
_UNREAD = {
    **dict.fromkeys((".heic", ".heif", ".hif"), f"HEIC pictures are not read: {_CONVERT}"),
    **dict.fromkeys((*_RAW, ".raw", ".rw2", ".srw", ".x3f"), f"raw photographs: {_CONVERT}"),
    **dict.fromkeys(
        (
            *(".bpg", ".dcm", ".dds", ".dpx", ".eps", ".exr", ".hdr", ".ico", ".j2k", ".jp2"),
            *(".jxl", ".jxr", ".mpo", ".pam", ".pbm", ".pcx", ".pgm", ".pic", ".pnm", ".ppm"),
            *(".psd", ".ras", ".sgi", ".svg", ".tga", ".xcf"),
        ),
        f"pictures of this kind are not read: {_CONVERT}",
    ),
    **dict.fromkeys(
        (".264", ".265", ".h264", ".h265", ".hevc", ".m1v", ".m2v", ".mjpeg", ".mjpg", ".yuv"),
        "streams without times: put them into MP4 (ffmpeg -framerate N -i FILE -c copy FILE.mp4)",
    ),
    **dict.fromkeys(
        (".braw", ".crm", ".dav", ".insv", ".lrv", ".r3d", ".swf"),
        "films of this kind are not read: convert to MP4",
    ),
    **dict.fromkeys(
        (".7z", ".bz2", ".gz", ".rar", ".tar", ".tgz", ".xz", ".zip", ".zst"), "archives: unpack"
    ),
    **dict.fromkeys((".h5", ".hdf5", ".mat", ".npy", ".npz", ".pkl", ".pt"), "arrays, no pictures"),
    **dict.fromkeys(
        (".crdownload", ".download", ".filepart", ".part", ".partial", ".tmp"),
        "unfinished downloads: finish or remove",
    ),
}


def is_companion(name: str) -> bool:
    """Returns whether a file is of a kind that stands beside clips and is none."""
    stem, suffix = os.path.splitext(name.lower())
    return suffix in COMPANIONS or name.startswith("._") or stem in (".ds_store", *_COMPANION_NAMES)


def reason_against(name: str) -> str:
    """Returns why a file is not read whose suffix is not one of films or images."""
    suffix = os.path.splitext(name.lower())[1]
    if not suffix:
        return "no suffix in the name"
    return f"{suffix}: {_UNREAD.get(suffix, 'no kind of film or image that we know')}"


def reason_against_content(path: str) -> str:
    """Returns why a file with the suffix of a film is none, by its first bytes; "": it may be one.

    Only suffixes that other files have, too, are looked into.
    """
    suffix = os.path.splitext(path.lower())[1]
    kind = _AMBIGUOUS.get(suffix)
    if kind is None:
        return ""
    try:
        with open(path, "rb") as file:
            head = file.read(1024)
    except OSError:
        return ""  # reading it tells the reason
    streams = (head[at::packet][:3] for at, packet in ((0, 188), (4, 192), (0, 204)))
    film = (
        not head  # reading it tells that it is empty
        or head.startswith((_PROGRAM, _VIDEO, b"\x1f\x07\x00"))
        or any(len(marks) == 3 and set(marks) == set(_TRANSPORT) for marks in streams)
    )
    return "" if film else f"{suffix}: not {kind}"
