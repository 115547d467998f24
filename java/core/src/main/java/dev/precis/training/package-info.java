/**
 * Training of models: optimizers, schedules, checkpoints and runs that resume bitwise identically.
 * Supervised fine-tuning is here; alignment builds on it.
 */
package dev.precis.training;
