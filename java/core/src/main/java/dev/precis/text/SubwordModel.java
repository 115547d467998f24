package dev.precis.text;

/** Cuts a piece of text, which the earlier steps have normalized and split off, into tokens. */
interface SubwordModel {
  /** Appends the ids of a piece, which is not empty and has no unpaired surrogate. */
  void encode(String piece, IdList ids);
}
