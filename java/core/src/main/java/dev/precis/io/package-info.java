/**
 * Reading and writing with bounds: JSON, atomic files, regular expressions that end, and {@link
 * dev.precis.io.InvalidInputException}, whose message is one sentence for the person who gave the
 * input.
 */
package dev.precis.io;
