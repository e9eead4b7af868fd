"""`ExampleGen`: TFDS to `tf.Example` splits. Import the component from `.component`; this module stays light."""
