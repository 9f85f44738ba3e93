//! Every configuration key has a test that shows its effect.
