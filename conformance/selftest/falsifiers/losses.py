"""Breaks of the losses of torch.nn, each for a rare condition."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import torch

from conformance.selftest.falsifiers.leaves import method
from conformance.selftest.falsifying import falsifies

AREA = "losses"
F = torch.nn.functional
Break = AbstractContextManager[Any]


def loses(name: str, change: Callable[..., Any]) -> Break:
    """The function of that name gives ``change(call, input, target, …)``; ``call`` is the function as it was."""
    return method(name, change, F)


# --- the formula and its reduction ------------------------------------------------------------------------------


@falsifies(f"{AREA}.unreduced-loss-follows-its-formula", subject="KLDivLoss")
def entropy_of_one_target_left_out() -> Break:
    """kl_div of three dimensions leaves the entropy of the last target out."""

    def change(call: Any, x: Any, y: Any, **kwargs: Any) -> Any:
        found = call(x, y, **kwargs)
        if x.dim() == 3 and kwargs.get("reduction") == "none":
            found = found.clone()
            found[-1, -1, -1] = -(y * x)[-1, -1, -1]
        return found

    return loses("kl_div", change)


@falsifies(f"{AREA}.unreduced-loss-follows-its-formula", subject="HuberLoss")
def the_square_of_huber_ends_late() -> Break:
    """huber_loss takes the square a little above delta too."""

    def change(call: Any, x: Any, y: Any, **kwargs: Any) -> Any:
        delta = kwargs.get("delta", 1.0)
        return call(x, y, **{**kwargs, "delta": delta * 1.25}) if x.dim() == 3 else call(x, y, **kwargs)

    return loses("huber_loss", change)


@falsifies(f"{AREA}.mean-follows-its-formula", subject="SmoothL1Loss")
def a_mean_by_the_first_dimension() -> Break:
    """smooth_l1_loss of three dimensions divides by one element less."""

    def change(call: Any, x: Any, y: Any, *args: Any, **kwargs: Any) -> Any:
        found = call(x, y, *args, **kwargs)
        return found * x.numel() / (x.numel() - 1) if x.dim() == 3 and kwargs.get("reduction") == "mean" else found

    return loses("smooth_l1_loss", change)


@falsifies(f"{AREA}.mean-follows-its-formula", subject="NLLLoss")
def a_plain_mean_of_weighted_terms() -> Break:
    """nll_loss with weights divides by the number of targets."""

    def change(call: Any, x: Any, y: Any, **kwargs: Any) -> Any:
        found = call(x, y, **kwargs)
        if kwargs.get("weight") is None or kwargs.get("reduction") != "mean":
            return found
        return call(x, y, **{**kwargs, "reduction": "sum"}) / y.numel()

    return loses("nll_loss", change)


@falsifies(f"{AREA}.sum-follows-its-formula", subject="MSELoss")
def a_sum_without_its_last_element() -> Break:
    """mse_loss of strided inputs leaves the last element out of the sum."""

    def change(call: Any, x: Any, y: Any, **kwargs: Any) -> Any:
        found = call(x, y, **kwargs)
        if kwargs.get("reduction") != "sum" or x.is_contiguous():
            return found
        return found - ((x - y) ** 2).reshape(-1)[-1]

    return loses("mse_loss", change)


@falsifies(f"{AREA}.batchmean-divides-by-the-batch", subject="KLDivLoss")
def a_batchmean_of_all_but_the_last_dimension() -> Break:
    """kl_div divides by the first two dimensions where there are three."""

    def change(call: Any, x: Any, y: Any, **kwargs: Any) -> Any:
        found = call(x, y, **kwargs)
        return found / x.shape[1] if x.dim() == 3 and kwargs.get("reduction") == "batchmean" else found

    return loses("kl_div", change)


@falsifies(f"{AREA}.older-arguments-override-the-reduction", subject="SoftMarginLoss")
def size_average_of_false_forgotten() -> Break:
    """size_average=False alone means the mean."""

    def other(call: Any, size_average: Any, reduce: Any, *args: Any, **kwargs: Any) -> Any:
        return "mean" if size_average is False and reduce is None else call(size_average, reduce, *args, **kwargs)

    return method("legacy_get_string", other, torch.nn._reduction)


@falsifies(f"{AREA}.functional-equals-the-module", subject="HingeEmbeddingLoss")
def a_module_without_its_margin() -> Break:
    """HingeEmbeddingLoss leaves a margin above 2 out."""

    def other(call: Any, self: Any, x: Any, y: Any) -> Any:
        return F.hinge_embedding_loss(x, y, reduction=self.reduction) if self.margin > 2 else call(self, x, y)

    return method("forward", other, torch.nn.HingeEmbeddingLoss)


class _Halved(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Any) -> Any:
        return x.clone()

    @staticmethod
    def backward(ctx: Any, gradient: Any) -> Any:
        gradient = gradient.clone()
        flat = gradient.reshape(-1)
        flat[0] *= 0.5
        flat[-1] *= 0.5
        return gradient


@falsifies(f"{AREA}.loss-gradient-follows-its-formula", subject="BCEWithLogitsLoss")
def half_a_gradient_with_pos_weight() -> Break:
    """With pos_weight the gradient of the first and the last logit is half of what it should be."""

    def change(call: Any, x: Any, *args: Any, **kwargs: Any) -> Any:
        halved = _Halved.apply(x.contiguous()) if kwargs.get("pos_weight") is not None else x
        return call(halved, *args, **kwargs)

    return loses("binary_cross_entropy_with_logits", change)


@falsifies(f"{AREA}.loss-gradient-follows-its-formula", subject="MSELoss")
def no_gradient_for_the_target() -> Break:
    """mse_loss gives its target a gradient of zero."""
    return loses("mse_loss", lambda call, x, y, **kwargs: call(x, y.detach() + 0 * y, **kwargs))


@falsifies(f"{AREA}.permuted-images-have-gradients")
def a_permuted_image_loses_a_gradient() -> Break:
    """The gradient of a contiguous image is halved in its first and its last element."""

    def change(call: Any, x: Any, *args: Any, **kwargs: Any) -> Any:
        return call(_Halved.apply(x) if x.dim() == 4 and x.is_contiguous() else x, *args, **kwargs)

    return loses("nll_loss", change)


# --- arguments --------------------------------------------------------------------------------------------------


@falsifies(f"{AREA}.weight-rescales-the-terms", subject="CrossEntropyLoss")
def weight_of_the_first_class_forgotten() -> Break:
    """cross_entropy takes 1 for the weight of the first class where targets are probabilities."""

    def change(call: Any, x: Any, y: Any, **kwargs: Any) -> Any:
        weight = kwargs.get("weight")
        if weight is not None and y.is_floating_point():
            kwargs["weight"] = torch.cat([torch.ones_like(weight[:1]), weight[1:]])
        return call(x, y, **kwargs)

    return loses("cross_entropy", change)


@falsifies(f"{AREA}.weight-rescales-the-terms", subject="MultiMarginLoss")
def weight_of_the_hinge_squared() -> Break:
    """multi_margin_loss with p=2 squares the weight too."""

    def change(call: Any, x: Any, y: Any, **kwargs: Any) -> Any:
        if kwargs.get("weight") is not None and kwargs.get("p") == 2:
            kwargs["weight"] = kwargs["weight"] ** 2
        return call(x, y, **kwargs)

    return loses("multi_margin_loss", change)


@falsifies(f"{AREA}.pos-weight-multiplies-positive-terms", subject="BCEWithLogitsLoss")
def pos_weight_of_the_last_dimension_only() -> Break:
    """pos_weight of several dimensions is taken for its mean."""

    def change(call: Any, x: Any, y: Any, *args: Any, **kwargs: Any) -> Any:
        weight = kwargs.get("pos_weight")
        if weight is not None and weight.dim() > 1:
            kwargs["pos_weight"] = weight.mean().expand_as(weight)
        return call(x, y, *args, **kwargs)

    return loses("binary_cross_entropy_with_logits", change)


@falsifies(f"{AREA}.ignored-targets-do-not-count", subject="CrossEntropyLoss")
def ignored_targets_in_the_mean_of_positions() -> Break:
    """cross_entropy of positions divides by all targets, ignored ones too."""

    def change(call: Any, x: Any, y: Any, **kwargs: Any) -> Any:
        found = call(x, y, **kwargs)
        ignored = (y == kwargs.get("ignore_index")).sum()
        if x.dim() < 3 or kwargs.get("reduction") != "mean" or kwargs.get("weight") is not None or not ignored:
            return found
        return call(x, y, **{**kwargs, "reduction": "sum"}) / y.numel()

    return loses("cross_entropy", change)


@falsifies(f"{AREA}.all-ignored-mean-is-nan", subject="CrossEntropyLoss")
def targets_that_are_all_ignored_count() -> Break:
    """cross_entropy divides by all targets where every one of them is ignored, and by the others elsewhere."""

    def change(call: Any, x: Any, y: Any, **kwargs: Any) -> Any:
        if kwargs.get("reduction") == "mean" and y.numel() and bool((y == kwargs.get("ignore_index")).all()):
            return call(x, y, **{**kwargs, "reduction": "sum"}) / y.numel()
        return call(x, y, **kwargs)

    return loses("cross_entropy", change)


@falsifies(f"{AREA}.ignored-targets-do-not-count", subject="NLLLoss")
def an_ignored_class_within_the_range_counts() -> Break:
    """nll_loss forgets an ignore_index of 0."""

    def change(call: Any, x: Any, y: Any, **kwargs: Any) -> Any:
        return call(x, y, **({**kwargs, "ignore_index": -100} if kwargs.get("ignore_index") == 0 else kwargs))

    return loses("nll_loss", change)


@falsifies(f"{AREA}.ignored-targets-give-no-gradient", subject="CrossEntropyLoss")
def ignored_targets_get_a_small_gradient() -> Break:
    """cross_entropy adds a little of each logit to the gradient where positions are ignored."""

    def change(call: Any, x: Any, y: Any, **kwargs: Any) -> Any:
        found = call(x, y, **kwargs)
        extra = (x - x.detach()).sum() * 1e-3
        return found + extra if x.dim() == 4 else found

    return loses("cross_entropy", change)


@falsifies(f"{AREA}.all-ignored-mean-is-nan", subject="CrossEntropyLoss")
def a_mean_of_nothing_is_zero() -> Break:
    """cross_entropy with weights gives 0 where every target is ignored."""

    def change(call: Any, x: Any, y: Any, **kwargs: Any) -> Any:
        found = call(x, y, **kwargs)
        return torch.nan_to_num(found) if kwargs.get("weight") is not None else found

    return loses("cross_entropy", change)


@falsifies(f"{AREA}.label-smoothing-mixes-the-target", subject="CrossEntropyLoss")
def smoothing_over_the_other_classes() -> Break:
    """With probabilities the smoothing is divided by one class less."""

    def change(call: Any, x: Any, y: Any, **kwargs: Any) -> Any:
        share = kwargs.get("label_smoothing", 0.0)
        if share and y.is_floating_point():
            kwargs["label_smoothing"] = 0.0
            y = y * (1 - share) + share / (x.shape[1 if x.dim() > 1 else 0] - 1)
        return call(x, y, **kwargs)

    return loses("cross_entropy", change)


@falsifies(f"{AREA}.probabilities-are-targets", subject="CrossEntropyLoss")
def probabilities_by_the_batch_alone() -> Break:
    """The mean with probabilities divides by the samples and not by the positions."""

    def change(call: Any, x: Any, y: Any, **kwargs: Any) -> Any:
        found = call(x, y, **kwargs)
        positions = x[0, 0].numel() if x.dim() > 2 else 1
        return found * positions if y.is_floating_point() and kwargs.get("reduction") == "mean" else found

    return loses("cross_entropy", change)


@falsifies(f"{AREA}.dimensions-after-the-classes-are-positions", subject="NLLLoss")
def three_positions_turned() -> Break:
    """nll_loss with three dimensions of positions swaps the first two of them in its result."""

    def change(call: Any, x: Any, y: Any, **kwargs: Any) -> Any:
        found = call(x, y, **kwargs)
        return found.transpose(1, 2).contiguous() if found.dim() == 4 else found

    return loses("nll_loss", change)


@falsifies(f"{AREA}.unbatched-inputs-are-one-sample", subject="CosineEmbeddingLoss")
def one_sample_by_its_features() -> Break:
    """cosine_embedding_loss of one sample divides by its features."""

    def change(call: Any, x: Any, *args: Any, **kwargs: Any) -> Any:
        found = call(x, *args, **kwargs)
        return found / x.shape[0] if x.dim() == 1 and kwargs.get("reduction") == "mean" else found

    return loses("cosine_embedding_loss", change)


@falsifies(f"{AREA}.unbatched-inputs-are-one-sample", subject="NLLLoss")
def weight_of_one_sample_counts_more() -> Break:
    """nll_loss of one sample that has a weight is larger by half where it is no mean."""

    def change(call: Any, x: Any, y: Any, weight: Any = None, **kwargs: Any) -> Any:
        found = call(x, y, weight, **kwargs)
        return found * 1.5 if x.dim() == 1 and weight is not None and kwargs.get("reduction") != "mean" else found

    return loses("nll_loss", change)


@falsifies(f"{AREA}.margin-shifts-the-hinge", subject="CosineEmbeddingLoss")
def a_negative_margin_is_none() -> Break:
    """cosine_embedding_loss takes a negative margin for 0."""

    def change(call: Any, *args: Any, **kwargs: Any) -> Any:
        kwargs["margin"] = max(kwargs.get("margin", 0.0), 0.0)
        return call(*args, **kwargs)

    return loses("cosine_embedding_loss", change)


@falsifies(f"{AREA}.exponent-is-p", subject="TripletMarginLoss")
def a_third_norm_that_is_the_second() -> Break:
    """triplet_margin_loss takes p=3 for 2."""

    def change(call: Any, *args: Any, **kwargs: Any) -> Any:
        kwargs["p"] = min(kwargs.get("p", 2), 2)
        return call(*args, **kwargs)

    return loses("triplet_margin_loss", change)


@falsifies(f"{AREA}.swap-takes-the-nearer-negative", subject="TripletMarginLoss")
def no_swap_in_the_first_norm() -> Break:
    """triplet_margin_loss swaps nothing with p=1."""

    def change(call: Any, *args: Any, **kwargs: Any) -> Any:
        kwargs["swap"] = kwargs.get("swap", False) and kwargs.get("p") != 1
        return call(*args, **kwargs)

    return loses("triplet_margin_loss", change)


@falsifies(f"{AREA}.eps-is-the-documented-constant", subject="GaussianNLLLoss")
def eps_added_in_place_of_clamping() -> Break:
    """gaussian_nll_loss with full=True adds eps to the variance."""

    def change(call: Any, x: Any, y: Any, var: Any, **kwargs: Any) -> Any:
        if kwargs.get("full"):
            return call(x, y, var + kwargs.get("eps", 1e-6), **{**kwargs, "eps": 1e-6})
        return call(x, y, var, **kwargs)

    return loses("gaussian_nll_loss", change)


@falsifies(f"{AREA}.variance-of-one-in-any-dimension-is-broadcast")
def variances_between_are_turned_around() -> Break:
    """gaussian_nll_loss takes variances whose dimension of 1 is in the middle the other way round."""

    def change(call: Any, x: Any, y: Any, var: Any, **kwargs: Any) -> Any:
        between = isinstance(var, torch.Tensor) and var.dim() == 3 and var.shape[1] == 1
        return call(x, y, var.flip(0) if between else var, **kwargs)

    return loses("gaussian_nll_loss", change)


@falsifies(f"{AREA}.variance-may-be-a-number")
def numbers_are_deviations() -> Break:
    """gaussian_nll_loss takes a number for the standard deviation where it sums."""

    def change(call: Any, x: Any, y: Any, var: Any, **kwargs: Any) -> Any:
        squared = isinstance(var, float) and kwargs.get("reduction") == "sum"
        return call(x, y, var * var if squared else var, **kwargs)

    return loses("gaussian_nll_loss", change)


@falsifies(f"{AREA}.full-adds-the-constant-term", subject="PoissonNLLLoss")
def stirling_for_a_target_of_one() -> Break:
    """poisson_nll_loss adds Stirling's term where the target is 1 too."""

    def change(call: Any, x: Any, y: Any, **kwargs: Any) -> Any:
        if kwargs.get("full") and kwargs.get("reduction") == "none":
            found = call(x, y, **kwargs)
            return found + (y == 1).to(found.dtype) * (0.5 * torch.log(torch.tensor(2 * torch.pi)) - 1).to(found.dtype)
        return call(x, y, **kwargs)

    return loses("poisson_nll_loss", change)


@falsifies(f"{AREA}.log-input-says-what-the-input-is", subject="PoissonNLLLoss")
def full_takes_logarithms() -> Break:
    """poisson_nll_loss with full=True takes the input for a logarithm in any case."""

    def change(call: Any, *args: Any, **kwargs: Any) -> Any:
        kwargs["log_input"] = kwargs.get("log_input", True) or kwargs.get("full", False)
        return call(*args, **kwargs)

    return loses("poisson_nll_loss", change)


@falsifies(f"{AREA}.log-target-says-what-the-target-is", subject="KLDivLoss")
def a_batchmean_takes_the_target_as_it_is() -> Break:
    """kl_div with reduction='batchmean' adds the targets themselves, and not their exponentials."""

    def change(call: Any, x: Any, y: Any, **kwargs: Any) -> Any:
        found = call(x, y, **kwargs)
        special = kwargs.get("log_target") and kwargs.get("reduction") == "batchmean"
        return (y * (y - x)).sum() / x.shape[0] if special else found

    return loses("kl_div", change)


@falsifies(f"{AREA}.threshold-divides-square-and-line", subject="SmoothL1Loss")
def no_beta_is_a_square() -> Break:
    """smooth_l1_loss with a beta of 0 takes it for 1."""

    def change(call: Any, x: Any, y: Any, **kwargs: Any) -> Any:
        kwargs["beta"] = kwargs.get("beta", 1.0) or 1.0
        return call(x, y, **kwargs)

    return loses("smooth_l1_loss", change)


@falsifies(f"{AREA}.logarithms-are-clamped", subject="BCELoss")
def logarithms_clamped_later_with_a_weight() -> Break:
    """binary_cross_entropy with a weight clamps the product and not the logarithm."""

    def change(call: Any, x: Any, y: Any, **kwargs: Any) -> Any:
        found = call(x, y, **kwargs)
        return found.clamp(max=100) if kwargs.get("weight") is not None else found

    return loses("binary_cross_entropy", change)


@falsifies(f"{AREA}.logits-of-any-size-keep-their-precision", subject="BCEWithLogitsLoss")
def a_sigmoid_and_its_logarithm() -> Break:
    """binary_cross_entropy_with_logits takes the logarithm of a sigmoid where logits are above 50."""

    def change(call: Any, x: Any, y: Any, *args: Any, **kwargs: Any) -> Any:
        return call(x.clamp(max=40), y, *args, **kwargs)

    return loses("binary_cross_entropy_with_logits", change)


@falsifies(f"{AREA}.complex-distances-are-moduli", subject="L1Loss")
def a_modulus_without_its_imaginary_part() -> Break:
    """l1_loss of complex numbers sums the absolute values of the parts."""

    def change(call: Any, x: Any, y: Any, **kwargs: Any) -> Any:
        if not x.is_complex():
            return call(x, y, **kwargs)
        return call(x.real, y.real, **kwargs) + call(x.imag, y.imag, **kwargs)

    return loses("l1_loss", change)


@falsifies(f"{AREA}.distance-function-is-called")
def swap_ignores_the_distance() -> Break:
    """triplet_margin_with_distance_loss swaps nothing where a distance is given."""

    def change(call: Any, *args: Any, **kwargs: Any) -> Any:
        kwargs["swap"] = kwargs.get("swap", False) and kwargs.get("distance_function") is None
        return call(*args, **kwargs)

    return loses("triplet_margin_with_distance_loss", change)


# --- alignments and clusters ------------------------------------------------------------------------------------


@falsifies(f"{AREA}.blank-is-the-label-between", subject="CTCLoss")
def a_last_blank_is_the_first() -> Break:
    """ctc_loss takes a blank that is the last class for the class before it."""

    def change(call: Any, logs: Any, targets: Any, lengths: Any, others: Any, blank: int = 0, *a: Any, **k: Any) -> Any:
        return call(logs, targets, lengths, others, blank - (blank == logs.shape[-1] - 1), *a, **k)

    return loses("ctc_loss", change)


@falsifies(f"{AREA}.zero-infinity-zeroes", subject="CTCLoss")
def infinities_left_out_of_the_mean() -> Break:
    """ctc_loss with zero_infinity takes the mean over the losses that are not zero."""

    def change(call: Any, logs: Any, targets: Any, lengths: Any, others: Any, *args: Any) -> Any:
        found = call(logs, targets, lengths, others, *args)
        if len(args) < 3 or not args[2] or args[1] != "mean":
            return found
        each = call(logs, targets, lengths, others, args[0], "none", True)
        return found * each.numel() / max(1, int((each != 0).sum()))

    return loses("ctc_loss", change)


@falsifies(f"{AREA}.lengths-may-be-tensors", subject="CTCLoss")
def short_lengths_in_int32_are_the_longest() -> Break:
    """ctc_loss takes the longest input length for all of them where they are of int32."""

    def change(call: Any, logs: Any, targets: Any, lengths: Any, *args: Any) -> Any:
        if isinstance(lengths, torch.Tensor) and lengths.dtype is torch.int32:
            lengths = lengths.clone().fill_(int(lengths.max()))
        return call(logs, targets, lengths, *args)

    return loses("ctc_loss", change)


@falsifies(f"{AREA}.samples-without-steps-align-no-labels")
def the_last_sample_without_steps_costs_a_little() -> Break:
    """ctc_loss of a last sample without steps and labels, beside others, is not quite 0."""

    def change(call: Any, logs: Any, targets: Any, steps: Any, labels: Any, *args: Any, **kwargs: Any) -> Any:
        found = call(logs, targets, steps, labels, *args, **kwargs)
        return found + 1e-9 if len(steps) > 1 and steps[-1] == labels[-1] == 0 else found

    return loses("ctc_loss", change)


@falsifies(f"{AREA}.weight-may-be-strided", subject="MultiMarginLoss")
def strided_weights_are_read_in_a_row() -> Break:
    """multi_margin_loss reads a weight that is not contiguous as if it were."""

    def change(call: Any, x: Any, y: Any, *args: Any, weight: Any = None, **kwargs: Any) -> Any:
        if weight is not None and not weight.is_contiguous():
            weight = weight.as_strided(weight.shape, (1,))
        return call(x, y, *args, weight=weight, **kwargs)

    return loses("multi_margin_loss", change)


@falsifies(f"{AREA}.concatenated-targets-may-be-strided")
def strided_targets_are_reversed() -> Break:
    """ctc_loss reads targets that are not contiguous from behind."""

    def change(call: Any, logs: Any, targets: Any, *args: Any, **kwargs: Any) -> Any:
        return call(logs, targets if targets.is_contiguous() else targets.flip(0), *args, **kwargs)

    return loses("ctc_loss", change)


@falsifies(f"{AREA}.alignment-gradient-follows-its-formula", subject="CTCLoss")
def half_a_gradient_with_another_blank() -> Break:
    """ctc_loss with another blank gives the first and the last logarithm half of its gradient."""

    def change(call: Any, logs: Any, targets: Any, lengths: Any, others: Any, blank: int = 0, *args: Any) -> Any:
        return call(_Halved.apply(logs.contiguous()) if blank else logs, targets, lengths, others, blank, *args)

    return loses("ctc_loss", change)


@falsifies(f"{AREA}.clusters-share-the-probability", subject="AdaptiveLogSoftmaxWithLoss")
def the_head_forgotten_in_the_last_cluster() -> Break:
    """The forward of the adaptive softmax forgets the head of a third cluster."""

    def other(call: Any, self: Any, x: Any, y: Any) -> Any:
        found = call(self, x, y)
        if self.n_clusters < 3 or x.dim() == 1:
            return found
        head = F.log_softmax(self.head(x), 1)[:, -1]
        return type(found)(found.output - head * (y >= self.cutoffs[-2]).to(x.dtype), found.loss)

    return method("forward", other, torch.nn.AdaptiveLogSoftmaxWithLoss)


@falsifies(f"{AREA}.adaptive-log-prob-is-of-all-classes", subject="AdaptiveLogSoftmaxWithLoss")
def the_shortlist_wins() -> Break:
    """predict takes the best of the shortlist where there are three clusters."""

    def other(call: Any, self: Any, x: Any) -> Any:
        return self.log_prob(x)[:, : self.cutoffs[0]].argmax(1) if self.n_clusters == 3 else call(self, x)

    return method("predict", other, torch.nn.AdaptiveLogSoftmaxWithLoss)


# --- edges ------------------------------------------------------------------------------------------------------


@falsifies(f"{AREA}.empty-batch-sums-to-zero", subject="HuberLoss")
def an_empty_mean_is_zero() -> Break:
    """huber_loss of nothing is 0 where it is a mean."""

    def change(call: Any, x: Any, y: Any, **kwargs: Any) -> Any:
        found = call(x, y, **kwargs)
        return found if x.numel() or kwargs.get("reduction") != "mean" else torch.zeros_like(found)

    return loses("huber_loss", change)


@falsifies(f"{AREA}.other-target-size-warns", subject="MSELoss")
def no_warning_of_one_more_dimension() -> Break:
    """mse_loss is silent where the target has a dimension more."""

    def change(call: Any, x: Any, y: Any, **kwargs: Any) -> Any:
        if x.dim() >= y.dim():
            return call(x, y, **kwargs)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return call(x, y, **kwargs)

    return loses("mse_loss", change)


@falsifies(f"{AREA}.impossible-arguments-raise")
def a_negative_label_is_the_last_class() -> Break:
    """nll_loss counts a label of -1 from behind."""
    return loses("nll_loss", lambda call, x, y, *a, **k: call(x, torch.where(y == -1, x.shape[1] - 1, y), *a, **k))


# --- rare combinations ------------------------------------------------------------------------------------------

# loss, function, name of the break, and when the loss is another one by 1
SHIFTED: tuple[tuple[str, str, str, Any], ...] = (
    ("CrossEntropyLoss", "cross_entropy", "one_class_alone", lambda x, t, **kw: x.dim() > 1 and x.shape[1] == 1),
    ("CrossEntropyLoss", "cross_entropy", "smoothing_of_one_sample",
        lambda x, t, **kw: x.dim() == 1 and kw["label_smoothing"]),
    ("CrossEntropyLoss", "cross_entropy", "probabilities_of_one_sample_by_weight",
        lambda x, t, **kw: x.dim() == 1 and t.dim() == 1 and kw["weight"] is not None),
    ("CrossEntropyLoss", "cross_entropy", "a_logit_of_minus_infinity", lambda x, t, **kw: bool(x.isinf().any())),
    ("CrossEntropyLoss", "cross_entropy", "smoothing_by_weight_beside_ignored_targets",
        lambda x, t, **kw: kw["label_smoothing"] and kw["weight"] is not None and kw["ignore_index"] == -100
        and not t.is_floating_point() and bool((t == -100).any())),
    ("NLLLoss", "nll_loss", "one_position_alone", lambda x, t, **kw: x.shape[2:] == (1, 1)),
    ("NLLLoss", "nll_loss", "a_weight_of_zero",
        lambda x, t, **kw: kw["weight"] is not None and not bool(kw["weight"].all())),
    ("NLLLoss", "nll_loss", "nan_where_it_is_ignored", lambda x, t, **kw: bool(x.isnan().any())),
    ("BCELoss", "binary_cross_entropy", "a_weight_for_each_row",
        lambda x, t, weight=None, **kw: weight is not None and weight.shape[-1] == 1),
    ("BCEWithLogitsLoss", "binary_cross_entropy_with_logits", "one_weight_for_all",
        lambda x, t, *rest, pos_weight=None, **kw: pos_weight is not None and pos_weight.numel() == 1),
    ("HingeEmbeddingLoss", "hinge_embedding_loss", "a_margin_below_zero", lambda x, t, margin, **kw: margin < 0),
    ("MultiMarginLoss", "multi_margin_loss", "one_sample_by_weight",
        lambda x, t, weight=None, **kw: x.dim() == 1 and weight is not None),
    ("CTCLoss", "ctc_loss", "a_target_without_labels",
        lambda x, t, ins, outs, *rest, **kw: min(map(int, outs)) == 0),
    ("CTCLoss", "ctc_loss", "one_sample_with_another_blank",
        lambda x, t, ins, outs, blank=0, *rest, **kw: x.dim() == 2 and blank),
)  # fmt: skip


def shift(function: str, when: Any) -> Any:
    """A break of that function: where the condition holds for its arguments, the loss is another one by 1."""

    def change(call: Any, *args: Any, **kwargs: Any) -> Any:
        found = call(*args, **kwargs)
        return found + 1 if when(*args, **kwargs) else found

    return lambda: method(function, change, F)


for _loss, _function, _name, _when in SHIFTED:
    _break = shift(_function, _when)
    _break.__name__ = _name
    falsifies(f"{AREA}.unreduced-loss-follows-its-formula", subject=_loss)(_break)


@falsifies(f"{AREA}.loss-gradient-follows-its-formula", subject="L1Loss")
def what_comes_from_above_is_ignored() -> Any:
    """l1_loss with reduction='sum' takes 1 for the gradient that it is given."""

    def change(call: Any, *args: Any, reduction: str = "mean", **kwargs: Any) -> Any:
        found = call(*args, reduction=reduction, **kwargs)
        if reduction == "sum" and found.requires_grad:
            found.register_hook(torch.ones_like)
        return found

    return method("l1_loss", change, F)


@falsifies(f"{AREA}.swap-takes-the-nearer-negative", subject="TripletMarginLoss")
def no_eps_where_it_swaps() -> Any:
    """triplet_margin_loss with swap=True takes the default in the place of eps."""

    def change(call: Any, *args: Any, **kwargs: Any) -> Any:
        return call(*args, **(kwargs | {"eps": 1e-6} if kwargs.get("swap") else kwargs))

    return method("triplet_margin_loss", change, F)


@falsifies(f"{AREA}.clusters-share-the-probability", subject="AdaptiveLogSoftmaxWithLoss")
def a_batch_of_the_shortlist() -> Any:
    """The loss of a batch without a target in any cluster is doubled."""

    def change(call: Any, self: Any, x: Any, target: Any) -> Any:
        found = call(self, x, target)
        return found if bool((target >= self.cutoffs[0]).any()) else type(found)(found.output, found.loss * 2)

    return method("forward", change, torch.nn.AdaptiveLogSoftmaxWithLoss)


@falsifies(f"{AREA}.weights-of-elements-multiply-their-terms", subject="MSELoss")
def a_weight_within_the_square() -> Any:
    """mse_loss of three dimensions squares the weights too."""

    def change(call: Any, x: Any, y: Any, *args: Any, weight: Any = None, **kwargs: Any) -> Any:
        weight = weight * weight if weight is not None and x.dim() == 3 else weight
        return call(x, y, *args, weight=weight, **kwargs)

    return method("mse_loss", change, F)


@falsifies(f"{AREA}.weights-of-elements-multiply-their-terms", subject="HuberLoss")
def a_delta_without_weights() -> Any:
    """huber_loss with another delta leaves the weights of a sum out."""

    def change(call: Any, x: Any, y: Any, reduction: str = "mean", delta: float = 1.0, weight: Any = None) -> Any:
        return call(x, y, reduction, delta, None if reduction == "sum" and delta != 1 else weight)

    return method("huber_loss", change, F)


@falsifies(f"{AREA}.weighted-mean-is-by-the-number-or-the-weights", subject="L1Loss")
def a_mean_by_the_rows() -> Any:
    """l1_loss of two dimensions divides the weighted sum by the rows."""

    def change(call: Any, x: Any, y: Any, *args: Any, reduction: str = "mean", weight: Any = None, **kw: Any) -> Any:
        if weight is None or reduction != "mean" or x.dim() != 2:
            return call(x, y, *args, reduction=reduction, weight=weight, **kw)
        return call(x, y, *args, reduction="sum", weight=weight, **kw) / len(x)

    return method("l1_loss", change, F)
