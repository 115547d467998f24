/** What a summary is worth: functions of text, each with the tokenizer that it needs. */
package dev.precis.alignment.reward;
