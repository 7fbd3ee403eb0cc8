"""What holds no products: functions and layers that are 0 MACs by convention, and known to be.

What is neither here nor has a formula is named as not counted, so that a new function of torch's is never a silent 0.
"""

from __future__ import annotations

_SPECIAL = """
    airy_ai bessel_j0 bessel_j1 bessel_y0 bessel_y1 digamma entr erf erfc erfcx erfinv exp2 expm1 gammainc
    gammaincc gammaln i0 i0e i1 i1e log1p log_ndtr log_softmax logit logsumexp modified_bessel_i0
    modified_bessel_i1 modified_bessel_k0 modified_bessel_k1 multigammaln ndtr ndtri polygamma psi round
    scaled_modified_bessel_k0 scaled_modified_bessel_k1 sinc spherical_bessel_j0 xlog1py xlogy zeta
"""
_QUANTIZED = "add add_relu add_scalar cat cat_relu mul mul_relu mul_scalar hardswish"
_TORCHVISION = "nms roi_align roi_pool ps_roi_align ps_roi_pool"

MOVES = frozenset(
    """
    H T adjoint alias_copy arange argwhere as_strided as_strided_copy as_strided_scatter as_tensor asarray
    assert_async assert_scalar atleast_1d atleast_2d atleast_3d bfloat16 block_diag bool broadcast_in_dim
    broadcast_tensors broadcast_to byte cartesian_prod cat ccol_indices ccol_indices_copy cdouble cfloat chalf
    channel_shuffle char chunk clone coalesce col_indices col_indices_copy collapse_view column_stack
    combinations complex conj constant_pad_nd contiguous convert_element_type copy crow_indices
    crow_indices_copy deepcopy detach detach_copy device_put diag diag_embed diagflat diagonal diagonal_copy
    diagonal_scatter dim_order double dsplit dstack embedding empty empty_like empty_permuted empty_strided
    expand expand_as expand_copy eye fft_fftshift fft_ifftshift fill fill_diagonal flatten flip fliplr flipud
    float from_numpy frombuffer full full_like gather getitem grad half hsplit hstack imag index index_copy
    index_fill index_put index_select indices indices_copy int int_repr ipu is_all_true jagged_to_padded_dense
    lift_fresh lift_fresh_copy linspace logspace long mH mT masked_fill masked_scatter masked_select meshgrid
    module_load movedim mtia narrow narrow_copy native_channel_shuffle nested_tensor_from_jagged
    nested_tensor_size new_empty new_empty_strided new_full new_ones new_tensor new_zeros nonzero
    nonzero_static numpy one_hot ones ones_like pack_padded_sequence pack_sequence pad pad_packed_sequence
    pad_sequence permute permute_copy pin_memory pixel_shuffle pixel_unshuffle put rand_like ravel real
    reflection_pad1d reflection_pad2d reflection_pad3d repeat repeat_interleave replication_pad1d
    replication_pad2d replication_pad3d requires_grad reshape reshape_alias reshape_as resize resize_as
    resolve_conj resolve_neg reversed roll rot90 row_indices row_indices_copy row_stack scalar_tensor scatter
    select select_copy select_scatter set setitem shape short size slice slice_copy slice_inverse
    slice_scatter sparse_mask split split_copy split_with_sizes split_with_sizes_copy squeeze squeeze_copy
    stack storage swapaxes sym_constrain_range_for_size t t_copy take take_along_dim tensor tensor_split tile
    to to_copy to_dense to_mkldnn to_padded_tensor to_sparse to_sparse_bsc to_sparse_bsr to_sparse_csc
    to_sparse_csr tolist transpose transpose_copy tril tril_indices triu triu_indices type type_as unbind
    unbind_copy unflatten unfold unfold_copy unravel_index unsafe_chunk unsafe_index unsafe_index_put
    unsafe_split unsafe_split_with_sizes unsafe_view unsqueeze unsqueeze_copy values values_copy view view_as
    view_as_complex view_as_complex_copy view_as_real view_as_real_copy view_copy vsplit vstack where xpu zero
    zeros zeros_like
    """.split()
)
"""Functions that view, copy, create and look up: they do no arithmetic."""

ARITHMETIC = frozenset(
    (
        *(f"special_{name}" for name in _SPECIAL.split()),
        *(f"quantized.{name}" for name in _QUANTIZED.split()),
        *(f"torchvision.{name}" for name in _TORCHVISION.split()),
        *"""
    abs acos acosh adaptive_avg_pool1d adaptive_avg_pool2d adaptive_avg_pool3d adaptive_max_pool1d
    adaptive_max_pool1d_with_indices adaptive_max_pool2d adaptive_max_pool2d_with_indices adaptive_max_pool3d
    adaptive_max_pool3d_with_indices add addcdiv addcmul addr affine_grid affine_grid_generator all allclose
    alpha_dropout amax amin aminmax and angle any arccos arccosh arcsin arcsinh arctan arctan2 arctanh argmax
    argmin argsort asin asinh atan atan2 atanh avg_pool1d avg_pool2d avg_pool3d bartlett_window batch_norm
    batch_norm_backward_elemt batch_norm_backward_reduce batch_norm_elemt batch_norm_gather_stats
    batch_norm_gather_stats_with_counts batch_norm_impl_index batch_norm_no_update batch_norm_stats
    batch_norm_update_stats batch_norm_with_update bernoulli binary_cross_entropy
    binary_cross_entropy_with_logits bincount binomial bitwise_and bitwise_left_shift bitwise_not bitwise_or
    bitwise_right_shift bitwise_xor blackman_window bucketize cauchy ceil celu choose_qparams_optimized clamp
    clamp_max clamp_min conj_physical copysign cos cosh cosine_embedding_loss cosine_similarity count_nonzero
    cross cross_entropy ctc_loss cummax cummin cumprod cumsum cumulative_trapezoid deg2rad dequantize diff
    digamma dist div dropout dropout1d dropout2d dropout3d elu embedding_bag eq equal erf erfc erfinv exp exp2
    expm1 exponential fake_quantize_per_channel_affine fake_quantize_per_tensor_affine feature_alpha_dropout
    feature_dropout fix float_power floor floor_divide floordiv fmax fmin fmod fold frac fractional_max_pool2d
    fractional_max_pool2d_with_indices fractional_max_pool3d fractional_max_pool3d_with_indices frexp
    frobenius_norm fused_dropout fused_moving_avg_obs_fake_quant fused_rms_norm gaussian_nll_loss gcd ge gelu
    geometric ger glu gradient greater greater_equal grid_sample grid_sampler grid_sampler_2d grid_sampler_3d
    group_norm gt gumbel_softmax hamming_window hann_window hardshrink hardsigmoid hardswish hardtanh
    hash_tensor heaviside hinge_embedding_loss histc histogram histogramdd huber_loss hypot i0 igamma igammac
    ilshift index_add index_reduce instance_norm interpolate invert irshift isclose isfinite isin isinf isnan
    isneginf isposinf isreal item kaiser_window kl_div kron kthvalue l1_loss layer_norm lcm ldexp le leaky_relu
    lerp less less_equal lgamma linalg_cross linalg_diagonal linalg_vander linalg_vector_norm
    local_response_norm log log10 log1p log2 log_normal log_sigmoid log_softmax logaddexp logaddexp2
    logcumsumexp logical_and logical_not logical_or logical_xor logit logsigmoid logsumexp lp_pool1d lp_pool2d
    lp_pool3d lshift lt margin_ranking_loss max max_pool1d max_pool2d max_pool3d max_unpool1d max_unpool2d
    max_unpool3d maximum mean median min minimum miopen_batch_norm mish mod mode mse_loss msort mul
    multi_margin_loss multilabel_margin_loss multilabel_soft_margin_loss multinomial mvlgamma nan_to_num nanmean
    nanmedian nanquantile nansum native_batch_norm native_batch_norm_legit native_batch_norm_legit_no_stats
    native_batch_norm_legit_no_training native_dropout native_group_norm native_layer_norm native_norm ne neg
    nextafter nll_loss norm_except_dim normal normalize not_equal or outer pairwise_distance poisson
    poisson_nll_loss polar polygamma positive pow prelu prod quantile quantize_per_channel
    quantize_per_channel_affine quantize_per_tensor quantize_per_tensor_dynamic quantized_batch_norm
    quantized_max_pool1d quantized_max_pool2d quantized_max_pool3d rad2deg rand randint randint_like randn
    randn_like random randperm reciprocal relu relu6 remainder renorm rlshift rms_norm ror round rrelu rrshift
    rshift rsqrt rsub rxor scatter_add scatter_reduce searchsorted segment_reduce selu sgn sigmoid sign signbit
    silu sin sinc sinh smooth_l1_loss soft_margin_loss softmax softmin softplus softshrink softsign sort sqrt
    square std std_mean sub sum sum_to_size tan tanh tanhshrink threshold topk trace trapezoid trapz
    triplet_margin_loss triplet_margin_with_distance_loss trunc uniform unique unique2 unique_consecutive
    upsample upsample_bicubic2d upsample_bicubic2d_aa upsample_bilinear upsample_bilinear2d
    upsample_bilinear2d_aa upsample_linear1d upsample_nearest upsample_nearest1d upsample_nearest2d
    upsample_nearest3d upsample_nearest_exact1d upsample_nearest_exact2d upsample_nearest_exact3d
    upsample_trilinear3d var var_mean weight_norm weight_norm_interface xlogy xor
        """.split(),
    )
)
"""Functions of elements, reductions, norms, pooling, losses, sampling and sorting."""

MOVING_LAYERS = frozenset(
    """
    ChannelShuffle CircularPad1d CircularPad2d CircularPad3d ConstantPad1d ConstantPad2d ConstantPad3d
    DeQuantize Embedding Flatten Identity ModuleDict ModuleList ParameterDict ParameterList PixelShuffle
    PixelUnshuffle Quantize ReflectionPad1d ReflectionPad2d ReflectionPad3d ReplicationPad1d ReplicationPad2d
    ReplicationPad3d Sequential Unflatten Unfold ZeroPad1d ZeroPad2d ZeroPad3d
    """.split()
)
"""Layers that view, copy and look up."""

OTHER_LAYERS = frozenset(
    """
    AdaptiveAvgPool1d AdaptiveAvgPool2d AdaptiveAvgPool3d AdaptiveMaxPool1d AdaptiveMaxPool2d AdaptiveMaxPool3d
    AlphaDropout AvgPool1d AvgPool2d AvgPool3d BCELoss BCEWithLogitsLoss BNReLU2d BNReLU3d BatchNorm1d
    BatchNorm2d BatchNorm3d CELU CTCLoss CosineEmbeddingLoss CosineSimilarity CrossEntropyLoss CrossMapLRN2d
    Dropout Dropout1d Dropout2d Dropout3d ELU EmbeddingBag FXFloatFunctional FeatureAlphaDropout FloatFunctional
    Fold FractionalMaxPool2d FractionalMaxPool3d GELU GLU GaussianNLLLoss GroupNorm Hardshrink Hardsigmoid
    Hardswish Hardtanh HingeEmbeddingLoss HuberLoss InstanceNorm1d InstanceNorm2d InstanceNorm3d KLDivLoss
    L1Loss LPPool1d LPPool2d LPPool3d LayerNorm LeakyReLU LocalResponseNorm LogSigmoid LogSoftmax MSELoss
    MarginRankingLoss MaxPool1d MaxPool2d MaxPool3d MaxUnpool1d MaxUnpool2d MaxUnpool3d Mish
    MultiLabelMarginLoss MultiLabelSoftMarginLoss MultiMarginLoss NLLLoss NLLLoss2d PReLU PairwiseDistance
    PoissonNLLLoss QFunctional RMSNorm RReLU ReLU ReLU6 SELU SiLU Sigmoid SmoothL1Loss SoftMarginLoss Softmax
    Softmax2d Softmin Softplus Softshrink Softsign SyncBatchNorm Tanh Tanhshrink Threshold TripletMarginLoss
    Upsample UpsamplingBilinear2d UpsamplingNearest2d
    """.split()
)
"""Layers of norms, activations, pooling, dropout and losses."""
