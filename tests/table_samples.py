"""One small table, as values and as the bytes that it must have."""

from pathlib import Path

from nnlc.families.article import NetworkSpec
from nnlc.tables import Row, Table

SPEC = NetworkSpec(
    id="2021_02_15_13_55_26_539263",
    random_seed=4294967295,
    train_gpu=True,
    torch_set_deterministic=False,
    dataset="CIFAR100",
    batch_size=25,
    loss_fn="CrossEntropyLoss",
    optimizer="SGD",
    learning_rate=0.11464760689500715,
    momentum=4.877743709660678e-05,
    dampening=0,
    weight_decay=1.0,
    layer_types=(3, 5),
    dropout_rate=0.25,
    conv_kernels=(24, 2),
    conv_strides=(12, 1),
    conv_paddings=(4, 0),
    pool_kernels=(1,),
    pool_strides=(1,),
    pool_paddings=(0,),
    conv_filters=(301, 345),
    fc_dropout_rate=0.4558671863403917,
    fc_dropout_layers=(),
    fc_filters=(100,),
)
ROWS = (
    Row(4.253769808530808, 3.8971090102730845, 9.68),
    Row(float("nan"), float("inf"), 10.0),
    Row(1e-07, None, 1e16),
    Row(-float("inf"), -0.0, 0.0),
)
# Written by hand from the published table and its description.
EXPECTED = (
    b"epochs trainLoss valLoss valAcc ID random_seed train_GPU torch_set_deterministic dataset"
    b" batch_size loss_fn optimizer learning_rate momentum dampening weight_decay layer_types"
    b" dropout_rate convKernels convStrides convPaddings poolKernels poolStrides poolPaddings"
    b" convFilters FC_dropout_rate FC_dropout_layers FCFilters\n"
    b"0.5 4.253769808530808 3.8971090102730845 9.68 2021_02_15_13_55_26_539263 4294967295 True"
    b" False CIFAR100 25 CrossEntropyLoss SGD 0.11464760689500715 4.877743709660678e-05 0 1.0 3-5"
    b" 0.25 24-2 12-1 4-0 1 1 0 301-345 0.4558671863403917  100\n"
    b"1.0 nan inf 10.0                        \n"
    b"1.5 1e-07  1e+16                        \n"
    b"2.0 -inf -0.0 0.0                        \n"
)
TABLE = Table(SPEC, ROWS)


def tree(folder: Path) -> dict[str, bytes]:
    """Return the files below a folder, as bytes by relative name."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
