/** Dialogues of the project's own, to train and show small models with. */
package dev.precis.data.builtin;
