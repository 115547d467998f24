/**
 * A T5 and a classifier as models of LangChain4j, in the program's own process. Start with {@link
 * dev.precis.langchain4j.PrecisChatModel}. No model here owns what it is built from: the program
 * closes its {@link dev.precis.T5} and {@link dev.precis.Classifier}.
 */
package dev.precis.langchain4j;
