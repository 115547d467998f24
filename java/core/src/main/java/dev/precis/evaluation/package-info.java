/** How good summaries are, and how sure that is: ROUGE, and the paired bootstrap. */
package dev.precis.evaluation;
