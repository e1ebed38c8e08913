"""The original tool's name for the network whose weights are in ``best_save/model.ckpt``.

.. code-block:: python

    import tensorflow.compat.v1 as tf
    from best_save import create_model

    tf.disable_v2_behavior()
    x, keep_prob = tf.placeholder(tf.float32, [None, 66, 200, 3]), tf.placeholder(tf.float32)
    steering, throttle, brake = create_model(x, keep_prob)
    session = tf.Session()
    tf.train.Saver().restore(session, "best_save/model.ckpt")
    session.run([steering, throttle, brake], {x: pictures / 255.0, keep_prob: 1.0})
"""

from acpilot.learning.tensorflow_model import create_model

__all__ = ["create_model"]
