"""The files that a `.keras` file has for single layers, such as the vocabulary of a TextVectorization.

    assets/layers/text_vectorization/vocabulary.txt     the path is that of the layer's weights
"""

from minigrad.saving.weights import located

_PLACE = "assets/"
_DENSEST = 20  # words are packed to no less than a 20th of their length


def pack(model):
    """{member: bytes} of all layers.

    Raises:
        ValueError: a layer of the user's defines save_assets, which would write files.
    """
    found = {}
    for path, layer in located(model):
        if hasattr(layer, "_assets"):
            found |= {f"{_PLACE}{path}{name}": content for name, content in layer._assets().items()}
        elif hasattr(type(layer), "save_assets"):
            raise ValueError(
                f"Layer {layer.name!r} ({type(layer).__name__}) defines save_assets, which minigrad does not call: let "
                "get_config or save_own_variables return what shall be in the file. save_weights works."
            )
    return found


def unpack(archive, model):
    """Give the layers their files among the members of an archive."""
    for path, layer in located(model):
        if hasattr(layer, "_take_assets"):
            names = {name: f"{_PLACE}{path}{name}" for name in layer._asset_names}
            found = {name: full for name, full in names.items() if full in archive}
            layer._take_assets({n: archive.read(full, _DENSEST * archive.packed(full)) for n, full in found.items()})
