"""A small network with each kind of layer, for checks of a device."""

from nnlc.families.article.spec import DROPOUT, POOLING, RELU, NetworkSpec
from nnlc.networks.image_sets import ImageSet

_BATCH = 16


def probe_network(steps: int) -> tuple[NetworkSpec, ImageSet]:
    """Return the network, and an image set for twice as many training steps as validation steps.

    Args:
        steps: number of validation steps.
    """
    images = ImageSet(
        name="check",
        table_name="check",
        channels=3,
        width=32,
        classes=10,
        train_images=2 * steps * _BATCH,
        validation_images=steps * _BATCH,
    )
    network = NetworkSpec(
        id="2000_01_01_00_00_00_000000",
        random_seed=1,
        train_gpu=True,
        torch_set_deterministic=True,
        dataset=images.table_name,
        batch_size=_BATCH,
        loss_fn="CrossEntropyLoss",
        optimizer="SGD",
        learning_rate=0.01,
        momentum=0.9,
        dampening=0,
        weight_decay=0.001,
        layer_types=(RELU + POOLING + DROPOUT, RELU + DROPOUT),
        dropout_rate=0.3,
        conv_kernels=(3, 13),  # unless a campaign forbids it, the second goes by Fourier transforms
        conv_strides=(1, 1),
        conv_paddings=(1, 6),
        pool_kernels=(2,),
        pool_strides=(1,),
        pool_paddings=(0,),
        conv_filters=(32, 32),
        fc_dropout_rate=0.3,
        fc_dropout_layers=(1,),
        fc_filters=(64, images.classes),
    )
    return network, images
