"""--pretrained: weights are downloaded once, here from servers on this machine in place of the public ones."""

import hashlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from dfal_cli.models.backbones import load_backbone
from tests.conftest import dfal
from tests.steps.embedding import draw_photos


@contextmanager
def serving(weights: bytes) -> Iterator[tuple[str, list[str]]]:
    """Serve the weights at every address, as a model hub does; yield the server's own and what was fetched from it."""
    fetched: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(len(weights)))
            self.send_header("ETag", f'"{hashlib.sha256(weights).hexdigest()}"')
            self.send_header("X-Repo-Commit", "0" * 40)
            self.end_headers()

        def do_GET(self) -> None:
            fetched.append(self.path)
            self.do_HEAD()
            self.wfile.write(weights)

        def log_message(self, *arguments: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", fetched
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def same_embeddings(backbone: str, network: nn.Module, side: int) -> bool:
    """Whether the downloaded backbone computes what the network computes, which has no head."""
    loaded = load_backbone(backbone, image_size=side, pretrained=True)
    images = torch.rand(2, 3, side, side, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        expected = network.eval()((images - loaded.model.mean) / loaded.model.std)
        return torch.allclose(loaded.model(images), expected, atol=1e-5)


def embed_twice(backbone: str) -> None:
    """Embed photos, and embed them again from the start."""
    command = ("embed", "--images", "photos", "--out", "e.parquet", "--backbone", backbone, "--image-size", 32)
    for further in ((), ("--force",)):
        ended = dfal(*command, "--pretrained", *further)
        assert ended.code == 0, ended.stderr


def test_weights_of_torchvision_are_downloaded_once(in_tmp: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    models = pytest.importorskip("torchvision.models")
    network = models.mobilenet_v3_small()
    torch.save(network.state_dict(), "weights.pth")
    content = Path("weights.pth").read_bytes()
    monkeypatch.setenv("TORCH_HOME", str(in_tmp / "kept"))
    draw_photos(in_tmp)
    with serving(content) as (address, fetched):
        url = f"{address}/mobilenet-{hashlib.sha256(content).hexdigest()[:8]}.pth"  # torch compares the hash
        monkeypatch.setattr(models.MobileNet_V3_Small_Weights.DEFAULT.value, "url", url)
        embed_twice("mobilenet_v3_small")
        network.classifier[-1] = nn.Identity()
        assert same_embeddings("mobilenet_v3_small", network, 32)
    assert len(fetched) == 1


def test_weights_of_timm_are_downloaded_once(in_tmp: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    timm = pytest.importorskip("timm")
    hub = pytest.importorskip("huggingface_hub.constants")
    network = timm.create_model("test_resnet")
    save_file(network.state_dict(), "weights.safetensors")
    content = Path("weights.safetensors").read_bytes()
    monkeypatch.setattr(hub, "HF_HUB_CACHE", str(in_tmp / "kept"))
    draw_photos(in_tmp)
    with serving(content) as (address, fetched):
        monkeypatch.setattr(hub, "HUGGINGFACE_CO_URL_TEMPLATE", address + "/{repo_id}/resolve/{revision}/{filename}")
        monkeypatch.setattr(hub, "ENDPOINT", address)
        embed_twice("timm/test_resnet")
        network.reset_classifier(0)
        assert same_embeddings("timm/test_resnet", network, 32)
    assert [Path(each).name for each in fetched].count("model.safetensors") == 1
