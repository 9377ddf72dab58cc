"""A model of transformers as ftrun's net: features [B, T, D] of its tokens, zero where a text is filled up."""

import json
from collections.abc import Mapping, Sequence

import torch
from tokenizers import Tokenizer
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import PreTrainedModel

import ftrun
import ftrun_inputs
from ftrun_transformers import TOKENIZER

HEAD = "classifier"


class EncoderNet(ftrun.Net):
    """transformers' base model, with a head beside it in `classifier`.

    features: tokens int64 [B, T] -> last hidden states [B, T, D], zero vectors where the token is `pad_id`
    pool: their mean over what is not zero, or the first of them, scaled to length 1 if `normalize`
    """

    input: ftrun_inputs.TextInput

    def __init__(
        self,
        model: PreTrainedModel,
        text: ftrun_inputs.TextInput,
        *,
        config: str,
        pooling: str,
        normalize: bool,
        width: int,
    ) -> None:
        model.add_module(HEAD, nn.Linear(width, 1))
        super().__init__(model, input=text, num_features=width, head_path=HEAD, stages=_stages(model))
        self.config = config
        self.pooling = pooling
        self.normalize = normalize
        self.pad_id = text.pad_id

    def features(self, x: Tensor) -> Tensor:
        inside = x != self.pad_id
        states: Tensor = self.model(input_ids=x, attention_mask=inside.long()).last_hidden_state
        return states.masked_fill(~inside[:, :, None], 0.0)  # a product would keep what is not finite

    def pool(self, features: Tensor) -> Tensor:
        if self.pooling == "cls":
            embedding = features[:, 0]
        else:
            tokens = features.ne(0).any(dim=2).sum(dim=1, keepdim=True)
            embedding = features.sum(dim=1) / tokens.clamp(min=1)
        return F.normalize(embedding, dim=1) if self.normalize else embedding

    def set_input(self, input: ftrun.InputSpec) -> None:  # noqa: A002  (the contract's word)
        """Take another tokenizer: the rows of its new tokens are the means of their pieces' rows."""
        assert isinstance(input, ftrun_inputs.TextInput)
        self._add_rows(input.pieces_of_new(self.input))
        config = {**json.loads(self.config), "vocab_size": self.model.get_input_embeddings().num_embeddings}
        self.config = to_json(config)
        self.input = input
        self.pad_id = self.input.pad_id

    def remap_weights(
        self,
        tensors: Mapping[str, Tensor],
        state: ftrun.PartState | None,
    ) -> tuple[dict[str, Tensor], list[str]]:
        """Rows of the embedding go by the token; that of a token which the other run does not know stays as it is."""
        mine = self.model.get_input_embeddings().weight
        name = next(name for name, parameter in self.model.named_parameters() if parameter is mine)
        theirs, before = tensors.get(name), _vocabulary(state)
        after = self.input.tokens.get_vocab()
        if theirs is None or before in (None, after) or theirs.shape[1] != mine.shape[1]:
            return dict(tensors), []
        both = [word for word in after if before.get(word, len(theirs)) < len(theirs)]
        rows = mine.detach().cpu().clone()
        rows[[after[word] for word in both]] = theirs[[before[word] for word in both]].to(rows)
        note = f"{name}: {len(both):,} of {len(after):,} tokens are known there, and taken over; the others stay"
        return {**tensors, name: rows}, [note]

    @torch.no_grad()
    def _add_rows(self, pieces: Mapping[int, Sequence[int]]) -> None:
        if not pieces:
            return
        old = self.model.get_input_embeddings()
        rows = max(old.num_embeddings, max(pieces) + 1)  # models often have rows to spare
        weight = old.weight.new_zeros(rows, old.embedding_dim)
        weight[: old.num_embeddings] = old.weight
        mean = old.weight.mean(dim=0)
        for token, parts in pieces.items():
            weight[token] = old.weight[list(parts)].mean(dim=0) if parts else mean
        old.weight = nn.Parameter(weight, requires_grad=old.weight.requires_grad)
        old.num_embeddings = rows
        self.model.config.vocab_size = rows


def _vocabulary(state: ftrun.PartState | None) -> dict[str, int] | None:
    """The tokens in the state of another run's backbone; None where it has none."""
    if state is None or TOKENIZER not in state.files:
        return None
    vocabulary: dict[str, int] = Tokenizer.from_str(state.text(TOKENIZER)).get_vocab()
    return vocabulary


def to_json(config: Mapping[str, object]) -> str:
    """As transformers writes config.json."""
    return json.dumps(config, indent=2, sort_keys=True) + "\n"


def _stages(model: nn.Module) -> dict[str, list[str]]:
    """`embeddings`, each layer as `layers.N`, and what comes after the last one as `norm`."""
    lists = [(path, module) for path, module in model.named_modules() if isinstance(module, nn.ModuleList)]
    found = max(lists, key=lambda each: sum(p.numel() for p in each[1].parameters()), default=None)
    if found is None:
        raise ftrun.SpecError(f"{type(model).__name__} is not one layer after the other, so it has no stages.")
    path, layers = found
    stages: dict[str, list[str]] = {"embeddings": []}
    stages |= {f"layers.{number}": [f"{path}.{number}"] for number in range(len(layers))}
    stages["norm"] = []
    behind = False
    for name, _ in model.named_parameters():
        if name.startswith(f"{path}."):
            behind = True
        elif not name.startswith(f"{HEAD}."):
            stages["norm" if behind else "embeddings"].append(name)
    return {stage: paths for stage, paths in stages.items() if paths}
