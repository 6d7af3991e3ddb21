"""``cmvc models``: list, pull and verify the weights that the profiles need, and install adapters."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn
from rich.table import Table

from cmvc.cli.messages import print_error
from cmvc.errors import AdapterMismatchError, MissingWeightsError
from cmvc.plain import one_line
from cmvc.profiles.profile import ModelProfile
from cmvc.profiles.registry import MODEL_PROFILES, model_profile
from cmvc.profiles.weights import Licence, Weights
from cmvc_decoder.models import pull as pulling
from cmvc_decoder.weights.adapters import adapter_folders, install, read_adapter, verify_adapter
from cmvc_decoder.weights.digests import Report
from cmvc_decoder.weights.store import DEFAULT_ROOT, Manifest, ModelStore, State
from cmvc_decoder.weights.verify import size_of, verify

_GB = 1e9
_STORE = click.option(
    "--models",
    "root",
    envvar="CMVC_MODELS",
    type=click.Path(path_type=Path, file_okay=False),
    help=f"Model store.  [default: {DEFAULT_ROOT}]",
)


@click.group("models")
def command() -> None:
    """Weights of the profiles: what they need, what is here, and whether it is whole."""


@command.command("list")
@_STORE
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of tables.")
def list_command(root: Path | None, as_json: bool) -> None:
    """Show what each profile needs, under which licence, and what is here."""
    store = ModelStore(root)
    if as_json:
        click.echo(json.dumps({each.id: _described(each, store) for each in MODEL_PROFILES.values()}, indent=2))
        return
    _print_tables(store)


@command.command("pull")
@click.argument("profiles", nargs=-1, metavar="PROFILE...")
@_STORE
@click.option("--all", "everything", is_flag=True, help="Pull those of every profile.")
@click.option("--optional", is_flag=True, help="Pull also few-step adapters and a fast VAE.")
@click.option("--offline", is_flag=True, help="Use no network; only check that all is here.")
def pull_command(profiles: tuple[str, ...], root: Path | None, everything: bool, optional: bool, offline: bool) -> None:
    """Download the weights of profiles. Go on where an earlier pull stopped; leave alone what is whole."""
    if everything == bool(profiles):
        raise click.UsageError("name profiles, or say --all")
    store = ModelStore(root)
    for models in [model_profile(each) for each in profiles] or list(MODEL_PROFILES.values()):
        for licence in dict.fromkeys(each.licence for each in models.chosen(optional)):
            click.echo(f"{models.id}: {_terms(licence)}", err=True)
        with _progress() as progress:
            pulling.pull(models, store, progress, optional=optional, offline=offline)
        click.echo(f"{models.id}: ready in {store.folder(models.id)}")


@command.command("install")
@click.argument("folder", type=click.Path(path_type=Path, exists=True, file_okay=False))
@_STORE
def install_command(folder: Path, root: Path | None) -> None:
    """Copy an adapter (LoRA) into the store, from the FOLDER that a training run made, in place of its namesake."""
    store = ModelStore(root)
    adapter = install(folder.resolve(), store.root)
    click.echo(f"{adapter.label}: installed for {adapter.profile} in {store.folder(adapter.profile)}")


@command.command("adopt")
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--profile", required=True, help="Profile whose model it changes.")
@click.option("--name", required=True, help="Name that it is to have.")
@click.option("--licence", required=True, help="Of its weights, such as Apache-2.0.")
@click.option("--from", "base", required=True, help="Where it is from, such as a repository and its commit.")
@_STORE
def adopt_command(file: Path, profile: str, root: Path | None, **told: str) -> None:
    """Install a published adapter (LoRA) that cuts steps, from its safetensors FILE."""
    from cmvc_decoder.models.adopt import adopt  # noqa: PLC0415 - loads torch

    store = ModelStore(root)
    adapter, left_out = adopt(file, model_profile(profile), store.root, **told)
    if left_out:
        click.echo(f"{left_out} tensors that are no LoRA were left out", err=True)
    click.echo(f"{adapter.label}: installed for {profile}; encode with --adapter {adapter.label} --set sampler=dmd")


@command.command("verify")
@click.argument("profiles", nargs=-1, metavar="[PROFILE...]")
@_STORE
@click.pass_context
def verify_command(context: click.Context, profiles: tuple[str, ...], root: Path | None) -> None:
    """Read what was pulled and compare it with its checksums; without PROFILE, all that is here."""
    store, faults = ModelStore(root), 0
    for models in [model_profile(each) for each in profiles] or list(MODEL_PROFILES.values()):
        names = [*(each.name for each in models.weights), *models.made]
        here = {name: manifest for name in names if (manifest := store.manifest(models.id, name))}
        needed = [each.name for each in models.chosen(optional=False)] + list(models.made)
        if profiles and (missing := [name for name in needed if name not in here]):
            raise MissingWeightsError(
                f"{store.folder(models.id)} lacks {', '.join(missing)}; run: cmvc models pull {models.id}"
            )
        for name, manifest in here.items():
            faults += _verify_folder(store, models.id, name, manifest)
        faults += sum(_verify_adapter(folder) for folder in adapter_folders(store.folder(models.id)))
    if faults:
        print_error("MISSING_WEIGHTS", f"{faults} files are not as pulled; remove those that changed and pull again")
        context.exit(1)


def _verify_folder(store: ModelStore, profile_id: str, name: str, manifest: Manifest) -> int:
    with _progress() as progress:
        report = progress(f"{profile_id}/{name}", size_of(manifest))
        faults = list(verify(store.folder(profile_id, name), manifest, report))
    for fault in faults:
        click.echo(one_line(f"{fault.what}: {store.folder(profile_id, name) / fault.path}"), err=True)
    if not faults:
        click.echo(f"{profile_id}/{name}: {len(manifest.files)} files, {size_of(manifest) / _GB:.2f} GB, as pulled")
    return len(faults)


def _verify_adapter(folder: Path) -> int:
    try:
        adapter = read_adapter(folder)
        verify_adapter(folder, adapter)
    except (MissingWeightsError, AdapterMismatchError) as error:
        click.echo(str(error), err=True)
        return 1
    click.echo(f"{adapter.profile}/{adapter.label}: as installed")
    return 0


def _described(models: ModelProfile, store: ModelStore) -> dict[str, Any]:
    return {
        "ready": store.ready(models),
        "vram_gib": models.vram_gib,
        "folder": str(store.folder(models.id)),
        "weights": [
            {
                "name": each.name,
                "repo": each.repo,
                "revision": each.revision,
                "bytes": each.size,
                "licence": {"name": each.licence.name, "terms": each.licence.terms, "url": each.licence.url},
                "purpose": each.purpose,
                "optional": each.optional,
                "state": store.state(models.id, each),
            }
            for each in models.weights
        ],
        "made": [{"name": name, "state": store.made_state(models, name)} for name in models.made],
        "adapters": [_described_adapter(folder) for folder in adapter_folders(store.folder(models.id))],
    }


def _described_adapter(folder: Path) -> dict[str, Any]:
    try:
        adapter = read_adapter(folder)
    except MissingWeightsError:
        return {"name": folder.name, "state": State.DAMAGED}
    return {**asdict(adapter), "label": adapter.label, "state": State.READY}


def _print_tables(store: ModelStore) -> None:
    # As wide as the table needs when nobody watches, so that a pipe gets whole lines.
    console = Console() if Console().is_terminal else Console(width=200)
    table = Table(box=None, pad_edge=False)
    for column in ("profile", "weights", "GB", "revision", "state", "licence"):
        table.add_column(column, justify="right" if column == "GB" else "left", no_wrap=column != "licence")
    for models in MODEL_PROFILES.values():
        for each in models.weights:
            table.add_row(models.id, *_row(each), store.state(models.id, each), each.licence.name)
        for name in models.made:
            table.add_row(models.id, name, "", "made here", store.made_state(models, name), "as what it is made of")
    console.print(table, highlight=False, markup=False)
    _print_adapters(console, store)
    memory = ", ".join(f"{each.id} {each.vram_gib} GiB" for each in MODEL_PROFILES.values())
    console.print(f"\nGPU memory, about: {memory}", highlight=False, markup=False, soft_wrap=True)
    for licence in dict.fromkeys(each.licence for models in MODEL_PROFILES.values() for each in models.weights):
        console.print(_terms(licence), highlight=False, markup=False, soft_wrap=True)
    console.print(f"model store: {store.root}", highlight=False, markup=False, soft_wrap=True)


def _print_adapters(console: Console, store: ModelStore) -> None:
    table = Table(box=None, pad_edge=False)
    for column in ("profile", "adapter", "revision", "kind", "rank", "licence", "tuned on"):
        table.add_column(column, justify="right" if column == "rank" else "left", no_wrap=column != "tuned on")
    for profile_id in MODEL_PROFILES:
        for folder in adapter_folders(store.folder(profile_id)):
            try:
                each = read_adapter(folder)
            except MissingWeightsError:
                table.add_row(profile_id, one_line(folder.name), "", State.DAMAGED)
            else:
                table.add_row(profile_id, each.label, each.revision, each.kind, str(each.rank), each.licence, each.base)
    if table.row_count:
        console.print()
        console.print(table, highlight=False, markup=False)


def _row(weights: Weights) -> tuple[str, str, str]:
    name = f"{weights.name} (optional)" if weights.optional else weights.name
    return name, f"{weights.size / _GB:.2f}", weights.revision[:12]


def _terms(licence: Licence) -> str:
    return f"{licence.name}: {licence.terms}; {licence.url}"


@contextmanager
def _progress() -> Iterator[pulling.Progress]:
    """Yield what shows bars on standard error if that is a terminal, and nothing otherwise."""
    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:

        def begin(what: str, total: int | None) -> Report:
            task = bar.add_task(what, total=total)
            return lambda count: bar.advance(task, count)

        yield begin
