"""What options are called elsewhere: where a spec has a name of another tool's, the message knows ours."""

from collections.abc import Collection

_OURS = {
    "input.size": "image_size img_size imgsz input_size resolution",
    "dataset": "data data_dir train_data data_path",
    "backbone": "model architecture arch net pretrained_model",
    "augment": "augmentation augmentations transform transforms",
    "loss": "criterion loss_fn loss_function",
    "loss.label_smoothing": "label_smoothing smoothing",
    "optimizer": "optim opt optimiser",
    "optimizer.lr": "lr learning_rate lr0 base_lr max_lr learningrate",
    "optimizer.weight_decay": "weight_decay wd decay l2",
    "optimizer.momentum": "momentum",
    "scheduler": "lr_scheduler schedule sched lr_schedule",
    "scheduler.warmup": "warmup warmup_ratio warmup_epochs warmup_steps",
    "observers": "callbacks callback logger loggers logging",
    "metrics": "metric",
    "seed": "random_seed random_state",
    "train.epochs": "num_epochs max_epochs num_train_epochs n_epochs",
    "train.batch_size": "batch bs batchsize per_device_train_batch_size train_batch_size",
    "train.accumulate": "accumulate_grad_batches gradient_accumulation_steps grad_accum grad_accum_steps",
    "train.patience": "early_stopping early_stop early_stopping_patience early_stopping_rounds",
    "train.phases": "freeze unfreeze frozen freeze_backbone freeze_epochs freeze_layers stages",
    "train.clip": "grad_clip clip_grad max_grad_norm gradient_clip_val gradient_clipping",
    "train.precision": "amp fp16 bf16 dtype mixed_precision",
    "train.monitor": "metric_for_best_model best_metric",
    "train.workers": "num_workers dataloader_num_workers",
    "train.val_fraction": "val_split validation_split val_size validation_fraction",
    "train.average": "ema model_ema ema_decay swa swa_start",
    "train.minutes": "time_limit max_time max_minutes time_budget budget",
}
_BY_NAME = {name: place for place, names in _OURS.items() for name in names.split()}
_COMMANDS = {
    "run": "train fit finetune fine-tune start",
    "evaluate": "eval test score",
    "predict": "infer inference pred",
    "resume": "continue restart",
    "check": "validate lint",
    "plugins": "list parts models",
    "new-plugin": "init new create",
    "compare": "diff",
}
_BY_COMMAND = {name: command for command, names in _COMMANDS.items() for name in names.split()}


def option(place: tuple[str, ...], keys: Collection[str]) -> str | None:
    """Return our name of what a spec has at `place`: the option alone if it is one of `keys`, which may stand there."""
    ours = _BY_NAME.get(place[-1].lower().replace("-", "_"))
    if ours is None:
        return None
    *holder, last = ours.split(".")
    if last in keys and (not holder or holder == list(place[:-1])):
        return last if len(holder) == len(place) - 1 else None
    return ours


def command(name: str) -> str | None:
    """Return the command that another tool calls `name`."""
    return _BY_COMMAND.get(name.lower())
