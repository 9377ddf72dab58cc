"""From a folder or a name on the Hub to a net; and from what a run has saved."""

import json
import os
import pickle
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
import transformers
from huggingface_hub import constants, get_hf_file_metadata, hf_hub_url, try_to_load_from_cache
from huggingface_hub.errors import HfHubHTTPError
from transformers import AutoConfig, AutoModel, AutoTokenizer, PreTrainedConfig, PreTrainedModel

import ftrun
import ftrun_inputs
import ftrun_weights
from ftrun_transformers import CONFIG, TOKENIZER
from ftrun_transformers.net import EncoderNet, to_json

_LENGTH = 512  # where neither the tokenizer nor the caller says less
_PATIENCE = 10.0  # seconds
_WEIGHTS = ("model.safetensors", "pytorch_model.bin")
_MOST_LAYERS = 1000
_NOT_KEPT = ("_name_or_path", "name_or_path", "auto_map")


def build(
    source: str | Path,
    overrides: Mapping[str, Any],
    *,
    pooling: str,
    normalize: bool,
    length: int | None = None,
    weights: bool = True,
) -> EncoderNet:
    """The net of a folder, or of a name on the Hub.

    length: tokens of a text at most; as many as tokenizer and model take, up to 512, if not given

    Raises SpecError where it is no encoder, or not whole; FtrunError where the Hub is out of reach.
    """
    with _fetching(source), _quiet():
        config = AutoConfig.from_pretrained(source, trust_remote_code=False)
        if config.is_encoder_decoder:
            raise ftrun.SpecError(f"{source} ({config.model_type}) is an encoder with a decoder; take an encoder.")
        check_size(config)
        tokenizer = AutoTokenizer.from_pretrained(source, trust_remote_code=False)
        model = _pretrained(source, config) if weights else _random(config)
        text = ftrun_inputs.TextInput(
            length=length or min(_limit(model), _longest(tokenizer), _LENGTH), tokenizer=_as_json(tokenizer, source)
        )
    text = text.changed(**overrides)
    if text.length > _limit(model):
        raise ftrun.SpecError(f"{source} takes texts of {_limit(model)} tokens at most, not {text.length}.")
    with _fetching(source):
        return _net(model, text, _config_json(config), pooling, normalize)


def rebuild(state: ftrun.PartState, overrides: Mapping[str, Any], *, pooling: str, normalize: bool) -> EncoderNet:
    """The net whose state a run has saved, with random weights."""
    text = ftrun_inputs.TextInput(length=_LENGTH, tokenizer=state.text(TOKENIZER)).changed(**overrides)
    with ftrun.library_errors("config.json: is damaged", ftrun.FtrunError):
        config = _from_json(state.text(CONFIG))
        check_size(config)
        return _net(_random(config), text, state.text(CONFIG), pooling, normalize)


def check_size(config: PreTrainedConfig) -> None:
    """Raise SpecError for a model that no memory here could hold, before anything of it is made."""
    for key, value in config.to_dict().items():
        if key.endswith(("_layers", "n_layer")) and isinstance(value, int) and value > _MOST_LAYERS:
            raise ftrun.SpecError(f"config.json: {key} is {value:,}; more than {_MOST_LAYERS:,} layers are not built.")
    with torch.device("meta"):
        model = AutoModel.from_config(config, trust_remote_code=False)
    needed = 4 * sum(parameter.numel() for parameter in model.parameters())
    here = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    if needed > here:
        raise ftrun.SpecError(
            f"config.json: describes a model whose weights take {needed / 1e9:,.0f} GB, and the memory here is "
            f"{here / 1e9:,.0f} GB."
        )


def _net(
    model: PreTrainedModel, text: ftrun_inputs.TextInput, config: str, pooling: str, normalize: bool
) -> EncoderNet:
    model.pooler = None  # another head, which would never learn here
    width = _width(model, text)
    return EncoderNet(model, text, config=config, pooling=pooling, normalize=normalize, width=width)


def _pretrained(source: str | Path, config: PreTrainedConfig) -> PreTrainedModel:
    for name in _WEIGHTS:
        if (file := Path(source) / name).is_file():
            ftrun_weights.weight_file_kind(file)  # raises for what is none under its name, such as a pointer of Git LFS
    model, info = AutoModel.from_pretrained(
        source, config=config, dtype=torch.float32, output_loading_info=True, trust_remote_code=False
    )
    missing = [name for name in info["missing_keys"] if not name.startswith("pooler.")]
    wrong = [*missing, *(str(each) for each in info["mismatched_keys"])]
    if wrong:
        raise ftrun.SpecError(
            f"the weights of {source} are not those of its model ({type(model).__name__}): {len(wrong)} tensors are "
            f"missing or of another shape, such as {wrong[0]}."
        )
    return model.train()


def _random(config: PreTrainedConfig) -> PreTrainedModel:
    return AutoModel.from_config(config, dtype=torch.float32, trust_remote_code=False).train()


def _width(model: PreTrainedModel, text: ftrun_inputs.TextInput) -> int:
    """The length of a token's vector, once it is seen that there is one for each token. Raises SpecError."""
    tokens = text.collate(text.example(1))
    training = model.training
    with ftrun.library_errors(f"{type(model).__name__} is no encoder of texts"), torch.no_grad():
        rows = model.get_input_embeddings().num_embeddings
        words = max(text.tokens.get_vocab(with_added_tokens=False).values(), default=0) + 1
        if words > rows:
            raise ftrun.SpecError(f"the tokenizer has {words:,} words, and the model {rows:,}: they are of two models.")
        states = model.eval()(input_ids=tokens, attention_mask=torch.ones_like(tokens)).last_hidden_state
        model.train(training)
    if states.shape[:2] != tokens.shape:
        raise ftrun.SpecError(f"{type(model).__name__} gives {list(states.shape)} for {list(tokens.shape)} tokens.")
    return int(states.shape[2])


def _limit(model: PreTrainedModel) -> int:
    """How many positions the model has."""
    embedded = getattr(getattr(model, "embeddings", None), "position_embeddings", None)
    if isinstance(embedded, torch.nn.Embedding) and embedded.padding_idx is not None:
        return embedded.num_embeddings - embedded.padding_idx - 1  # RoBERTa counts from there
    return int(getattr(model.config, "max_position_embeddings", None) or _LENGTH)


def _longest(tokenizer: Any) -> int:
    """How many tokens of a text the tokenizer takes; without end where it does not say."""
    given = tokenizer.model_max_length
    return given if isinstance(given, int) and given > 0 else sys.maxsize


def _as_json(tokenizer: Any, source: str | Path) -> str:
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is None:
        raise ftrun.SpecError(f"{source}: its tokenizer ({type(tokenizer).__name__}) is not one of `tokenizers`.")
    if tokenizer.pad_token_id is None:
        raise ftrun.SpecError(f"{source}: its tokenizer has no token to fill up texts with (pad_token).")
    if set(tokenizer.get_vocab().values()) <= set(tokenizer.all_special_ids):  # as it is made where there is no file
        raise ftrun.SpecError(f"{source}: its tokenizer knows no word. Is tokenizer.json or the vocabulary missing?")
    backend.no_truncation()
    backend.enable_padding(pad_id=tokenizer.pad_token_id, pad_token=tokenizer.pad_token)
    return str(backend.to_str())


def _config_json(config: PreTrainedConfig) -> str:
    """All of the configuration, whatever the defaults of another version; but neither where it was read, nor code."""
    whole = json.loads(config.to_json_string(use_diff=False))
    return to_json({key: value for key, value in whole.items() if key not in _NOT_KEPT})


def _from_json(text: str) -> PreTrainedConfig:
    saved = json.loads(text)
    return AutoConfig.for_model(saved["model_type"]).from_dict(saved)


@contextmanager
def _fetching(source: str | Path) -> Iterator[None]:
    """Inside, files come from a folder, the cache or the network."""
    local = Path(source).is_dir()
    place = "the folder" if local else "there is no such folder, and on the Hub"
    with ftrun.library_errors(f"transformers/{source}: {place}"):
        try:
            if not local:
                _check_hub(str(source))
            yield
        except ConnectionError as error:
            raise ftrun.FtrunError(
                f"{source} could not be fetched from https://huggingface.co: {_first_line(error)}. Fetch its files "
                '(config.json, the tokenizer, model.safetensors) elsewhere and name their folder: "transformers/PATH".'
            ) from error
        except Exception as error:
            if "trust_remote_code" in str(error):
                raise ftrun.SpecError(
                    f"transformers/{source}: {place}: its model or tokenizer is code of its own (auto_map), which "
                    "could do anything, so it is not run. Take one that transformers itself has."
                ) from error
            if _is_pickle(error):
                raise ftrun.SpecError(
                    f"transformers/{source}: {place}: its weights are a pickle that is damaged or holds more than "
                    "tensors, which could run code, so it is not loaded. Save them as model.safetensors."
                ) from error
            raise


def _is_pickle(error: BaseException | None) -> bool:
    """Whether an exception comes from a pickle that torch does not load as plain tensors."""
    return error is not None and (isinstance(error, pickle.UnpicklingError) or _is_pickle(error.__context__))


def _check_hub(name: str) -> None:
    """Raise ConnectionError where the Hub is out of reach and the model is not in the cache.

    The Hub's client would try for most of a minute before it says so, and log each time.
    """
    if isinstance(try_to_load_from_cache(name, "config.json"), str):
        return
    if constants.HF_HUB_OFFLINE:
        raise ConnectionError("HF_HUB_OFFLINE is set, and it is not in the cache")
    try:
        get_hf_file_metadata(hf_hub_url(name, "config.json"), timeout=_PATIENCE)
    except HfHubHTTPError:
        raise
    except Exception as error:  # which class it is depends on the HTTP library that the client was built on
        raise ConnectionError(_first_line(error)) from error


@contextmanager
def _quiet() -> Iterator[None]:
    """Inside, transformers draws no bars and reports no weights that are left out on purpose."""
    logging = transformers.utils.logging
    before, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(before)
        if bars:
            logging.enable_progress_bar()


def _first_line(error: BaseException) -> str:
    return str(error).strip().partition("\n")[0] or type(error).__name__
