/**
 * Supervised fine-tuning: optimizers, schedules, checkpoints and the training loop. A killed run
 * resumes bitwise identically.
 */
package dev.precis.training;
