"""Control videos that need models: with tiny random ones of the same classes, and by hand."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from transformers import (
    DepthAnythingConfig,
    DepthAnythingForDepthEstimation,
    Dinov2Config,
    DPTImageProcessorPil,
    RTDetrConfig,
    RTDetrForObjectDetection,
    RTDetrResNetConfig,
    VitPoseBackboneConfig,
    VitPoseConfig,
    VitPoseForPoseEstimation,
)

from wan_core.catalog import WeightFiles
from wan_core.catalog.helpers import DEPTH, JOINTS, PEOPLE
from wan_core.manager.weights import WeightStore
from wan_core.media.preprocess import grey
from wan_core.pipelines.control_video import (
    IMAGE_MEAN,
    IMAGE_STD,
    crop_box,
    draw_control,
    estimate_depth,
    estimate_pose,
    find_joints,
    find_peaks,
    find_people,
)
from wan_core.pipelines.skeleton import draw_skeletons
from wan_core.schema import Cancelled, DownloadError, ProgressEvent, Settings, WeightsError

FOLDERS = {DEPTH: "depth", PEOPLE: "people", JOINTS: "joints"}


def no_event(event: object) -> None:
    """An emit that nobody hears."""


def tiny_depth() -> DepthAnythingForDepthEstimation:
    backbone = Dinov2Config(
        hidden_size=12,
        num_hidden_layers=4,
        num_attention_heads=2,
        image_size=518,
        patch_size=14,
        out_features=["stage1", "stage2", "stage3", "stage4"],
        reshape_hidden_states=False,
    )
    config = DepthAnythingConfig(
        backbone_config=backbone,
        reassemble_hidden_size=12,
        neck_hidden_sizes=[4, 4, 8, 8],
        fusion_hidden_size=4,
        head_hidden_size=4,
    )
    depth = DepthAnythingForDepthEstimation(config)
    for parameter in depth.parameters():
        parameter.data.normal_(std=0.3)
    depth.head.conv3.bias.data.fill_(10)  # nothing is cut off at 0
    return depth


def tiny_people() -> RTDetrForObjectDetection:
    resnet = RTDetrResNetConfig(
        depths=[1, 1, 1, 1],
        hidden_sizes=[8, 8, 8, 8],
        layer_type="basic",
        embedding_size=8,
        out_features=["stage2", "stage3", "stage4"],
    )
    return RTDetrForObjectDetection(
        RTDetrConfig(
            backbone_config=resnet,
            encoder_in_channels=[8, 8, 8],
            encoder_hidden_dim=16,
            d_model=16,
            encoder_ffn_dim=16,
            decoder_ffn_dim=16,
            decoder_layers=1,
            num_queries=5,
            decoder_in_channels=[16, 16, 16],
            encoder_attention_heads=2,
            decoder_attention_heads=2,
            decoder_n_points=2,
            num_labels=80,
        )
    )


def tiny_joints() -> VitPoseForPoseEstimation:
    backbone = VitPoseBackboneConfig(
        hidden_size=12, num_hidden_layers=1, num_attention_heads=2, out_indices=[1]
    )
    return VitPoseForPoseEstimation(
        VitPoseConfig(backbone_config=backbone, num_labels=17, use_simple_decoder=True)
    )


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a tiny model of each kind."""
    folder = tmp_path_factory.mktemp("helpers")
    torch.manual_seed(0)
    for name, make in (("depth", tiny_depth), ("people", tiny_people), ("joints", tiny_joints)):
        make().save_pretrained(folder / name)
    return folder


@pytest.fixture(scope="module")
def frames() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (2, 48, 80, 3), np.uint8)


def test_depth_is_that_of_the_models_own_processor_scaled_over_the_clip(models: Path, frames) -> None:
    drawn = estimate_depth(frames, models / "depth", no_event)
    processor = DPTImageProcessorPil(
        size={"height": 518, "width": 518},
        keep_aspect_ratio=True,
        ensure_multiple_of=14,
        resample=3,
        image_mean=IMAGE_MEAN,
        image_std=IMAGE_STD,
    )
    model = DepthAnythingForDepthEstimation.from_pretrained(models / "depth").eval()
    with torch.no_grad():
        pixels = processor(list(frames), return_tensors="pt").pixel_values
        assert pixels.shape == (2, 3, 308, 518)
        depth = model(pixels).predicted_depth
    depth = torch.nn.functional.interpolate(depth[:, None], size=(48, 80), mode="bicubic")[:, 0].numpy()
    expected = (depth - depth.min()) / (depth.max() - depth.min()) * 255
    assert expected.std() > 20
    assert (drawn.min(), drawn.max()) == (0, 255)
    assert (drawn == drawn[..., :1]).all()
    assert np.abs(drawn[..., 0] - expected).max() < 1


def test_poses_are_drawn_of_every_frame_and_can_be_stopped(models: Path, frames) -> None:
    heard: list[ProgressEvent] = []
    drawn = estimate_pose(frames, models / "people", models / "joints", heard.append)
    assert drawn.shape == frames.shape
    assert drawn.dtype == np.uint8
    assert [(event.step, event.total, event.message) for event in heard] == [
        (0, 2, "Drawing the pose"),
        (1, 2, "Drawing the pose"),
    ]

    def stop(event: object) -> None:
        raise Cancelled

    with pytest.raises(Cancelled):
        estimate_pose(frames, models / "people", models / "joints", stop)


def test_the_real_classes_find_people_and_joints(models: Path, frames) -> None:
    detector = RTDetrForObjectDetection.from_pretrained(models / "people").eval()
    for head in detector.model.decoder.class_embed:
        head.bias.data[0] = 20.0
    with torch.no_grad():
        boxes = find_people(detector, frames[0])
        assert boxes.shape == (5, 4)
        assert (boxes[:, 0] <= 80).all()
        assert boxes[:, 0].max() > 1  # pixels, not parts
        estimator = VitPoseForPoseEstimation.from_pretrained(models / "joints").eval()
        found = find_joints(estimator, frames[0], boxes)
    assert len(found) == 5
    assert all(positions.shape == (17, 2) and scores.shape == (17,) for positions, scores in found)


class BrightSpots(torch.nn.Module):
    """An estimator whose every joint is where its crop is brightest."""

    config = SimpleNamespace(backbone_config=SimpleNamespace(image_size=(256, 192)))

    def forward(self, crops: torch.Tensor) -> SimpleNamespace:
        heat = torch.nn.functional.interpolate(crops.mean(1, keepdim=True), size=(64, 48), mode="area")
        return SimpleNamespace(heatmaps=heat.expand(-1, 17, -1, -1))


def test_joints_come_back_to_the_pixels_they_were_seen_at() -> None:
    frame = np.zeros((240, 320, 3), np.uint8)
    frame[80:87, 200:207] = 255  # around x 203, y 83
    boxes = torch.tensor([[190.0, 100.0, 60.0, 120.0], [210.0, 90.0, 100.0, 60.0]])
    for positions, _ in find_joints(BrightSpots(), frame, boxes):
        assert np.abs(positions - [203, 83]).max() < 1.5


def test_a_box_is_cut_out_corner_to_corner() -> None:
    ramp = torch.arange(20.0).expand(3, 10, 20)
    part = crop_box(ramp, torch.tensor([10.0, 5.0, 6.0, 4.0]), 5, 7)
    torch.testing.assert_close(part[0, 0, 2], torch.arange(7.0, 14.0))
    outside = crop_box(ramp + 1, torch.tensor([-10.0, 5.0, 6.0, 4.0]), 5, 7)
    assert not outside.any()


def test_a_peak_lies_between_cells() -> None:
    heat = torch.zeros(1, 2, 8, 6)
    heat[0, 0, 3, 2], heat[0, 0, 3, 3] = 1.0, 0.5
    heat[0, 1, 7, 0] = 0.25
    places, scores = find_peaks(heat)
    assert scores.tolist() == [[1.0, 0.25]]
    torch.testing.assert_close(places[0, 0], torch.tensor([2 + 1 / 6, 3.0]))
    assert places[0, 1].tolist() == [0, 7]  # not beyond the edge


def test_a_skeleton_by_hand() -> None:
    positions = np.zeros((17, 2))
    positions[[0, 5, 6, 8]] = (50, 10), (70, 30), (30, 30), (30, 70)  # nose, shoulders, right elbow
    scores = np.zeros(17)
    scores[[0, 5, 6, 8]] = 1
    drawn = draw_skeletons([(positions, scores)], 120, 100)
    assert drawn[30, 50].tolist() == [255, 85, 0]  # the neck, between the shoulders
    assert drawn[10, 50].tolist() == [255, 0, 0]
    assert drawn[30, 40].tolist() == [153, 0, 0]  # neck to right shoulder
    assert drawn[50, 30].tolist() == [153, 102, 0]  # right upper arm
    assert not drawn[80:].any()
    assert not draw_skeletons([(positions, np.full(17, 0.2))], 120, 100).any()


def test_a_kind_chooses_its_models(models: Path, frames) -> None:
    asked = []

    class Source:
        def helper(self, files: WeightFiles, emit: object) -> Path:
            asked.append(files)
            return models / FOLDERS[files]

    assert np.array_equal(draw_control(frames, "grey", Source(), no_event), grey(frames))
    assert asked == []
    assert draw_control(frames, "depth", Source(), no_event).shape == frames.shape
    assert draw_control(frames, "pose", Source(), no_event).shape == frames.shape
    assert asked == [DEPTH, PEOPLE, JOINTS]


def test_a_wrong_or_damaged_model_is_named(models: Path, frames, tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"joints holds no such model"):
        estimate_depth(frames, models / "joints", no_event)
    (tmp_path / "config.json").write_bytes((models / "depth" / "config.json").read_bytes())
    (tmp_path / "model.safetensors").write_bytes(b"\0" * 100)
    with pytest.raises(WeightsError, match="delete it to fetch it again"):
        estimate_depth(frames, tmp_path, no_event)


def test_offline_says_what_is_missing_and_where_it_belongs(settings: Settings, tmp_path: Path) -> None:
    store = WeightStore(settings, hub_cache=tmp_path / "cache")
    folder = settings.models_dir / "Depth-Anything-V2-Small-hf"
    with pytest.raises(DownloadError, match=f"depth-anything/Depth-Anything-V2-Small-hf is not .*{folder}"):
        store.helper(DEPTH, no_event)
    folder.mkdir(parents=True)
    for name in DEPTH.files:
        (folder / name).write_bytes(b"x")
    assert store.helper(DEPTH, no_event) == folder
