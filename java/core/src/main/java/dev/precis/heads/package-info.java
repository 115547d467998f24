/** Heads on top of a model: the critic's value of each token. */
package dev.precis.heads;
