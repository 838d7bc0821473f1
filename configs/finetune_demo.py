import ml_collections


def get_config() -> ml_collections.ConfigDict:
    config = ml_collections.ConfigDict()
    config.protocol = "synthetic"
    config.classifier = dict(features="difference", pooling="grid", cells=7)
    config.augment = dict(flip=False, copies=2)
    config.tuning = dict(epochs=40, batch_size=32)
    return config
