/** Random numbers that are the same on every machine. */
package dev.precis.random;
