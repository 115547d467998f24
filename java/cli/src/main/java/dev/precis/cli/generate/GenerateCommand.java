package dev.precis.cli.generate;

import dev.precis.T5;
import dev.precis.checkpoint.WeightsCache;
import dev.precis.cli.common.BaseCommand;
import dev.precis.cli.common.Progress;
import dev.precis.cli.common.Prompts;
import dev.precis.data.Dialogue;
import dev.precis.data.DialogueReader;
import dev.precis.generation.GenerationOptions;
import dev.precis.generation.GenerationOptions.EarlyStopping;
import dev.precis.io.InvalidInputException;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

@Command(
    name = "generate",
    header = "Summarises dialogues, or continues any other prompt.",
    description = {
      "Writes one JSON object a line, in the order of the input: {\"id\", \"summary\", \"tokens\","
          + " \"score\"}. The tokens are without the start token; the score is the sum of their"
          + " log-probabilities, which beams divide by length^length-penalty. With"
          + " --num-return-sequences above 1 each result has a line of its own, the best first, and"
          + " \"return\" counts them from 0."
    },
    footer = {
      "",
      "Input: .jsonl, .json, .csv or .parquet with a field 'dialogue' (or 'prompt', a whole prompt)"
          + " and perhaps 'id'; .txt, one dialogue.",
      "",
      "Examples:",
      "  precis generate --model google/flan-t5-base --input dialogues.jsonl --output out.jsonl",
      "  precis generate --model flan-t5-base --dtype int8 --input chat.txt --stream",
      "  precis generate --model flan-t5-base --prompt 'Translate to German: Good morning!'",
      "  precis generate --model flan-t5-base --adapter my-lora --input new.csv --num-beams 4",
      "  precis generate --model flan-t5-base --input new.jsonl --shots 2 --examples old.jsonl",
      "  zcat all.jsonl.gz | precis generate --model flan-t5-base --input - | jq -r .summary"
    })
public final class GenerateCommand extends BaseCommand {
  @Option(
      names = "--model",
      required = true,
      paramLabel = "MODEL",
      description = "A model's folder, or a hub id already downloaded.")
  private String model;

  @Option(
      names = "--adapter",
      paramLabel = "ADAPTER",
      description = "A PEFT adapter, a folder or a hub id; several add up.")
  private List<String> adapters = List.of();

  @Option(
      names = "--input",
      paramLabel = "FILE",
      description = "Dialogues; -: JSON lines on standard input.")
  private Path input;

  @Option(
      names = "--prompt",
      paramLabel = "TEXT",
      description = "One whole prompt in place of --input; prints the text alone.")
  private String prompt;

  @Option(
      names = "--output",
      paramLabel = "FILE",
      description = {
        "Where the JSON lines go (default: standard output).",
        "Appears when it is complete; until then there is FILE.partial."
      })
  private Path output;

  @Option(
      names = "--resume",
      description = "Go on from the FILE.partial that the same command left.")
  private boolean resume;

  @Option(
      names = "--stream",
      description = "Print the text itself, as it is generated, in place of JSON lines.")
  private boolean stream;

  @Option(
      names = "--template",
      paramLabel = "T",
      description = {
        "How a dialogue becomes a prompt: a file, or the text itself, in which \\n is a line break;"
            + " with {dialogue} in it and, for --shots, perhaps {summary}.",
        "Default: Summarize the following conversation.\\n\\n{dialogue}\\n\\nSummary: "
      })
  private String template;

  @Option(
      names = "--raw",
      description = "Dialogues are whole prompts, as --prompt is: no template.")
  private boolean raw;

  @Option(
      names = "--shots",
      paramLabel = "K",
      defaultValue = "0",
      description = "Worked examples before each dialogue (default: ${DEFAULT-VALUE}).")
  private int shots;

  @Option(
      names = "--examples",
      paramLabel = "FILE",
      description = "Dialogues with summaries; --shots takes the first of them.")
  private Path examples;

  @Option(
      names = "--max-source-length",
      paramLabel = "N",
      defaultValue = "4096",
      description = "A prompt of more tokens is an error (default: ${DEFAULT-VALUE}).")
  private int maxSourceLength;

  @Option(names = "--truncate", description = "Cut longer prompts at their end instead.")
  private boolean truncate;

  @Option(
      names = "--batch-size",
      paramLabel = "N",
      defaultValue = "" + T5.DEFAULT_BATCH_SIZE,
      description = {
        "Prompts side by side (default: ${DEFAULT-VALUE}).",
        "More is faster and takes memory; the results are the same."
      })
  private int batchSize;

  @Option(
      names = "--max-new-tokens",
      paramLabel = "N",
      defaultValue = "200",
      description = "Stop after so many (default: ${DEFAULT-VALUE}).")
  private int maxNewTokens;

  @Option(
      names = "--min-new-tokens",
      paramLabel = "N",
      defaultValue = "0",
      description = "Do not end before so many (default: ${DEFAULT-VALUE}).")
  private int minNewTokens;

  @Option(
      names = "--num-beams",
      paramLabel = "N",
      defaultValue = "1",
      description = "Beams; 1: the most probable token each time (default: ${DEFAULT-VALUE}).")
  private int numBeams;

  @Option(
      names = "--length-penalty",
      paramLabel = "X",
      defaultValue = "1",
      description = "Beams: above 0 favours long results (default: ${DEFAULT-VALUE}).")
  private float lengthPenalty;

  @Option(
      names = "--early-stopping",
      paramLabel = "true|false|never",
      arity = "0..1",
      defaultValue = "false",
      fallbackValue = "true",
      description =
          "Beams: end when there are as many results as beams (default: ${DEFAULT-VALUE}).")
  private String earlyStopping;

  @Option(
      names = "--no-repeat-ngram-size",
      paramLabel = "N",
      defaultValue = "0",
      description = "No N tokens in a row twice; 0: no rule (default: ${DEFAULT-VALUE}).")
  private int noRepeatNgramSize;

  @Option(
      names = "--repetition-penalty",
      paramLabel = "X",
      defaultValue = "1",
      description = "Above 1: less of what has been said (default: ${DEFAULT-VALUE}).")
  private float repetitionPenalty;

  @Option(
      names = "--num-return-sequences",
      paramLabel = "N",
      defaultValue = "1",
      description = "Results for each prompt (default: ${DEFAULT-VALUE}).")
  private int numReturnSequences;

  @Option(
      names = "--sample",
      description = "Draw tokens by --seed instead of taking the most probable.")
  private boolean sample;

  @Option(
      names = "--temperature",
      paramLabel = "X",
      defaultValue = "1",
      description = "Sampling: below 1 sharper (default: ${DEFAULT-VALUE}).")
  private float temperature;

  @Option(
      names = "--top-k",
      paramLabel = "N",
      defaultValue = "50",
      description = "Sampling: among the N most probable; 0: all (default: ${DEFAULT-VALUE}).")
  private int topK;

  @Option(
      names = "--top-p",
      paramLabel = "X",
      defaultValue = "1",
      description =
          "Sampling: among the most probable that make up X together (default: ${DEFAULT-VALUE}).")
  private float topP;

  @Override
  public Integer call() {
    checkUsage();
    GenerationOptions options = options();
    Prompts prompts = prompts();
    List<Dialogue> dialogues = dialogues();
    T5.LoadOptions loadOptions =
        common()
            .loadOptions()
            .adapters(adapters.stream().map(this::resolve).toList())
            .weightsCache(WeightsCache.of(terminal().environment()).orElse(null));
    Path folder = resolve(model);
    if (stream || prompt != null && output == null) {
      try (T5 t5 = T5.load(folder, loadOptions)) {
        List<int[]> sources = encode(t5, dialogues, prompts);
        if (stream) {
          stream(t5, dialogues, sources, options);
        } else {
          for (var result : t5.generateTokens(sources, options, batchSize, null).getFirst()) {
            terminal().println(t5.decode(result).text());
          }
        }
      }
      return DONE;
    }
    try (Results results = results(dialogues);
        T5 t5 = T5.load(folder, loadOptions)) {
      write(t5, encode(t5, dialogues, prompts), options, results);
    }
    return DONE;
  }

  private void checkUsage() {
    if ((input == null) == (prompt == null)) {
      throw usage(
          input == null
              ? "--input or --prompt is missing"
              : "Only one of --input and --prompt goes");
    }
    if (raw && (template != null || shots > 0)) {
      throw usage("--raw takes prompts as they are, without --template and --shots");
    }
    if (prompt != null && (template != null || shots > 0 || examples != null)) {
      throw usage("--prompt is a whole prompt, without --template, --shots and --examples");
    }
    if (shots > 0 && examples == null) {
      throw usage("--shots needs --examples, a file with dialogues and summaries");
    }
    if (examples != null && shots < 1) {
      throw usage("--examples needs --shots, how many of them to show");
    }
    if (stream && output != null) {
      throw usage("--stream prints to standard output, without --output");
    }
    if (stream && (numBeams > 1 || numReturnSequences > 1)) {
      throw usage("--stream shows one sequence as it grows, without beams and several results");
    }
    if (resume && (output == null || output.toString().equals("-"))) {
      throw usage("--resume needs the --output file of the run that was interrupted");
    }
    if (batchSize < 1) {
      throw usage("--batch-size must be 1 or more, not " + batchSize);
    }
    if (maxSourceLength < 2) {
      throw usage("--max-source-length must be 2 or more, not " + maxSourceLength);
    }
    if (!sample && (given("--temperature") || given("--top-k") || given("--top-p"))) {
      throw usage("--temperature, --top-k and --top-p need --sample");
    }
    if (numBeams == 1 && (given("--length-penalty") || given("--early-stopping"))) {
      throw usage("--length-penalty and --early-stopping need --num-beams above 1");
    }
  }

  private GenerationOptions options() {
    try {
      return new GenerationOptions(
          maxNewTokens,
          minNewTokens,
          numBeams,
          lengthPenalty,
          EarlyStopping.valueOf(earlyStopping.toUpperCase(Locale.ROOT)),
          noRepeatNgramSize,
          repetitionPenalty,
          numReturnSequences,
          sample,
          temperature,
          topK,
          topP,
          common().seed());
    } catch (InvalidInputException e) {
      throw usage("--" + e.getMessage());
    } catch (IllegalArgumentException e) {
      throw usage("--early-stopping must be true, false or never, not '" + earlyStopping + "'");
    }
  }

  private Prompts prompts() {
    if (raw || prompt != null) {
      return Prompts.raw();
    }
    return Prompts.of(template, shots, examples);
  }

  private List<Dialogue> dialogues() {
    if (prompt == null) {
      return DialogueReader.read(input);
    }
    if (prompt.isBlank()) {
      throw usage("--prompt is empty");
    }
    return List.of(new Dialogue("prompt", prompt, List.of(), null, true));
  }

  private Results results(List<Dialogue> dialogues) {
    return output == null || output.toString().equals("-")
        ? new Results(terminal(), dialogues, numReturnSequences)
        : new Results(output, resume, dialogues, numReturnSequences);
  }

  private List<int[]> encode(T5 t5, List<Dialogue> dialogues, Prompts prompts) {
    String source = input == null ? "--prompt" : input.toString();
    return prompts.encode(t5.tokenizer(), dialogues, source, maxSourceLength, truncate);
  }

  /** Writes results as they come. A run that ends early says what it leaves and how to go on. */
  private void write(T5 t5, List<int[]> sources, GenerationOptions options, Results results) {
    int total = sources.size();
    int from = results.written();
    if (from > 0) {
      note("Going on after %d of %d.".formatted(from, total));
    }
    Thread farewell = new Thread(() -> farewell(results, total));
    Runtime.getRuntime().addShutdownHook(farewell);
    boolean complete = false;
    long tokens;
    Progress progress = new Progress(terminal(), common().quiet());
    try (progress) {
      tokens = generate(t5, sources.subList(from, total), options, results, progress);
      results.commit();
      complete = true;
    } finally {
      if (removeHook(farewell) && !complete) {
        farewell(results, total);
      }
    }
    if (terminal().errIsTerminal()) {
      note(
          "%,d dialogues, %,d tokens in %s (%,.0f tokens/s)."
              .formatted(
                  total - from,
                  tokens,
                  Progress.clock(progress.seconds()),
                  tokens / progress.seconds()));
    }
  }

  /** Generates for the sources that are left and returns how many tokens that were. */
  private long generate(
      T5 t5, List<int[]> sources, GenerationOptions options, Results results, Progress progress) {
    int from = results.written();
    int total = from + sources.size();
    AtomicLong tokens = new AtomicLong();
    AtomicInteger done = new AtomicInteger();
    progress.show("%d/%d dialogues".formatted(from, total));
    t5.generateTokens(
        sources,
        options,
        batchSize,
        from,
        (source, generated) -> {
          generated.forEach(each -> tokens.addAndGet(each.tokens().length));
          results.add(from + source, generated.stream().map(t5::decode).toList());
          progress.show(
              "%d/%d dialogues  %,.0f tokens/s  %s"
                  .formatted(
                      from + done.incrementAndGet(),
                      total,
                      tokens.get() / progress.seconds(),
                      progress.left((double) done.get() / sources.size())));
        });
    return tokens.get();
  }

  private void farewell(Results results, int total) {
    if (output != null && results.written() > 0) {
      terminal()
          .err()
          .printf(
              "%d of %d results are kept in %s: the same command with --resume goes on from"
                  + " there.%n",
              results.written(), total, Results.partial(output));
    }
  }

  /** False when the process is already going down, and the hook has run or will. */
  private static boolean removeHook(Thread hook) {
    try {
      return Runtime.getRuntime().removeShutdownHook(hook);
    } catch (IllegalStateException e) {
      return false;
    }
  }

  private void stream(
      T5 t5, List<Dialogue> dialogues, List<int[]> sources, GenerationOptions options) {
    for (int i = 0; i < sources.size(); i++) {
      if (sources.size() > 1) {
        terminal().print(dialogues.get(i).id() + ": ");
      }
      t5.stream(sources.get(i), options, i, terminal()::print);
      terminal().println("");
    }
  }
}
