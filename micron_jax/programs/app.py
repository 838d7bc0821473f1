"""`micron-jax app`: a page in the browser that shows what moved."""

import argparse
import importlib.util
import socket

from micron_jax.errors import UserError
from micron_jax.programs.arguments import Arguments
from micron_jax.programs.options import SHARED, number
from micron_jax.programs.stopping import noting

EXAMPLES = """
  micron-jax app
  micron-jax app --checkpoint runs/demo
  micron-jax app --checkpoint runs/casme2_5
  micron-jax app --checkpoint RELEASE.pth --port 8000 --max-mb 2000 --max-seconds 3600

Needs pip install 'micron-jax[app]'. The page loads nothing from elsewhere and is reached from this
machine alone; uploaded files are removed with their request. On a server without a screen:
ssh -L 7860:127.0.0.1:7860 SERVER, and open http://127.0.0.1:7860 here. Ctrl-C ends it.
"""


def main(argv: list[str]) -> int:
    parser = Arguments(
        "micron-jax app",
        "A page to drop a video or two pictures of a face on, or to record with the camera: it "
        "shows the aligned face, the map and, of a video, the timeline with its candidates.",
        EXAMPLES,
    )
    checkpoint = SHARED["--checkpoint"]["help"]
    parser.option(
        "--checkpoint", f"{checkpoint}; the workdir of a fine-tuning brings its classifier"
    )
    parser.option("--host", "address to listen at", default="127.0.0.1")
    port = number(int, at_least=0, at_most=65535)
    parser.option("--port", "port to listen at; 0: any free one", type=port, default=7860)
    size = number(float, above=0, at_most=1e5)
    text = "largest size of the files of one request, in MB"
    parser.option("--max-mb", text, type=size, default=500)
    text = "seconds of a video that are looked at, at most"
    parser.option("--max-seconds", text, type=size, default=600)
    options = parser.parse_args(argv)
    for name in ("starlette", "uvicorn", "python_multipart"):
        if importlib.util.find_spec(name) is None:
            raise UserError(f"{name} is not installed: pip install 'micron-jax[app]'")
    with _listen(options.host, options.port) as listener:
        return _serve(listener, options)


def _listen(host: str, port: int) -> socket.socket:
    try:
        (family, _, _, _, address), *_ = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        return socket.create_server(address[:2], family=family)
    except OSError as error:
        where = f"--host {host} --port {port}"
        raise UserError(f"{where}: cannot listen there: {error.strerror}") from None


def _serve(listener: socket.socket, options: argparse.Namespace) -> int:
    import micron_jax
    from micron_jax.app.guard import is_loopback
    from micron_jax.app.limits import Limits
    from micron_jax.app.scratch import server_folder
    from micron_jax.app.server import Server, Service
    from micron_jax.faces import landmarks

    landmarks.all_faces_detector()  # complains now, not at the first upload
    address, port = listener.getsockname()[:2]
    model = micron_jax.load(options.checkpoint)
    limits, name = Limits(options.max_mb, options.max_seconds), options.checkpoint.resolve().name
    with noting("the page is closed, and its uploads are removed"), server_folder() as folder:
        server = Server(Service(model, name, limits, folder), loopback=is_loopback(address))
        _print_address(address, port, is_loopback(address))
        server.run(sockets=[listener])
    return 0


def _print_address(address: str, port: int, loopback: bool) -> None:
    shown = f"[{address}]" if ":" in address else address
    print(f"the page: http://{shown}:{port} (Ctrl-C ends it)", flush=True)
    if not loopback:
        print("whoever reaches this machine can use it: there is no password", flush=True)
