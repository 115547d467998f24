package dev.precis.cli;

import dev.precis.cli.align.AlignCommand;
import dev.precis.cli.align.BestOfNCommand;
import dev.precis.cli.bench.BenchCommand;
import dev.precis.cli.card.CardCommand;
import dev.precis.cli.common.BaseCommand;
import dev.precis.cli.common.ConfigArguments;
import dev.precis.cli.common.Failures;
import dev.precis.cli.common.GracefulShutdown;
import dev.precis.cli.common.Terminal;
import dev.precis.cli.common.Version;
import dev.precis.cli.compare.CompareCommand;
import dev.precis.cli.data.DataCommand;
import dev.precis.cli.demo.DemoCommand;
import dev.precis.cli.doctor.DoctorCommand;
import dev.precis.cli.evaluate.EvaluateCommand;
import dev.precis.cli.evaluate.RougeCommand;
import dev.precis.cli.generate.GenerateCommand;
import dev.precis.cli.model.DownloadCommand;
import dev.precis.cli.model.MergeCommand;
import dev.precis.cli.review.ReviewCommand;
import dev.precis.cli.reward.RewardCommand;
import dev.precis.cli.reward.ScoreCommand;
import dev.precis.cli.serve.ServeCommand;
import dev.precis.cli.train.TrainCommand;
import dev.precis.device.DeviceOptions;
import dev.precis.io.Notes;
import dev.precis.ops.Ops;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.util.Arrays;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.Supplier;
import java.util.stream.Stream;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Help.Ansi;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Model.OptionSpec;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.ParseResult;
import picocli.CommandLine.Spec;

/** The command {@code precis}, which has only subcommands. */
@Command(
    name = "precis",
    versionProvider = Version.class,
    mixinStandardHelpOptions = true,
    sortOptions = false,
    usageHelpWidth = 80,
    synopsisSubcommandLabel = "COMMAND",
    description = {
      "",
      "Native engine for T5 models such as FLAN-T5: inference, fine-tuning, evaluation and"
          + " alignment.",
      ""
    },
    commandListHeading = "%nCommands:%n",
    optionListHeading = "%nOptions:%n",
    footer = {
      "",
      "Start here:",
      "  precis demo                            the whole workflow, in minutes",
      "  precis download google/flan-t5-base    a larger model",
      "  precis generate --model google/flan-t5-base --input dialogues.jsonl",
      "",
      "See 'precis help COMMAND' for a command's options and examples.",
      "Exit codes: 0 done, 1 failed, 2 wrong usage or bad input."
    })
public final class Main implements BaseCommand.Root, Runnable {
  @Spec private CommandSpec spec;

  private final Terminal terminal;

  private Main(Terminal terminal) {
    this.terminal = terminal;
  }

  public static void main(String[] args) {
    List<String> all = List.of(args);
    if (args.length > 0
        && List.of("generate", "best-of-n", "serve", "score", "demo", "bench", "doctor")
            .contains(args[0])
        && !all.contains("--help")
        && !all.contains("-h")) {
      Thread.ofPlatform().daemon().start(Main::linkLibrary);
    }
    int exitCode = run(Terminal.system(), args);
    // System.exit looks for a logger first; success saves these milliseconds.
    if (exitCode != BaseCommand.DONE && !GracefulShutdown.inProgress()) {
      System.exit(exitCode);
    }
  }

  /** Loads the native library and makes its functions callable while options are being read. */
  private static void linkLibrary() {
    try (Ops ops = Ops.open(new DeviceOptions().threads(1))) {
      ops.device().info();
    } catch (RuntimeException | LinkageError e) {
      // The command will meet it too, and report it.
    }
  }

  /** Returns the command line with all its commands. */
  static CommandLine commandLine(Terminal terminal) {
    CommandLine line = new CommandLine(new Main(terminal));
    addCommands(line, "");
    return line;
  }

  /** Runs one command line and returns its exit code. */
  public static int run(Terminal terminal, String... arguments) {
    String[] args = longHelp(arguments);
    if (args.length > 0 && args[0].equals("help")) {
      args = args.length == 1 ? new String[] {"--help"} : new String[] {args[1], "--help"};
    }
    return runCommand(terminal, args);
  }

  private static int runCommand(Terminal terminal, String... args) {
    boolean quiet = List.of(args).contains("--quiet");
    Notes.listener(sentence -> terminal.err().print(quiet ? "" : sentence + ".\n"));
    CommandLine line = new CommandLine(new Main(terminal));
    addCommands(line, args.length == 0 ? "" : args[0]);
    line.setColorScheme(
        CommandLine.Help.defaultColorScheme(terminal.colors() ? Ansi.ON : Ansi.OFF));
    StringWriter help = new StringWriter();
    line.setOut(new PrintWriter(help)).setErr(new PrintWriter(terminal.err(), true));
    Failures failures = new Failures(terminal, List.of(args).contains("--debug"));
    CommandLine called = args.length == 0 ? null : line.getSubcommands().get(args[0]);
    ConfigArguments config =
        ConfigArguments.of((called == null ? line : called).getCommandSpec(), List.of(args));
    line.setParameterExceptionHandler((e, given) -> failures.reportUsage(e, config));
    line.setExecutionStrategy(
        result -> {
          refuseTwice(result);
          refuseUnread(result, config);
          return new CommandLine.RunLast().execute(result);
        });
    line.setExecutionExceptionHandler((e, command, result) -> failures.report(e));
    try {
      // With --help, picocli would ignore a command that it does not know.
      boolean unknown =
          args.length > 0
              && !args[0].startsWith("-")
              && !line.getSubcommands().containsKey(args[0]);
      int exitCode = unknown ? line.execute(args[0]) : line.execute(withConfig(config, args));
      terminal.printRaw(help.toString());
      return exitCode;
    } catch (Throwable e) {
      // Errors pass by picocli's handlers, which are for exceptions.
      return failures.report(e);
    }
  }

  /** Adds the settings of a file behind the arguments that were given. */
  private static String[] withConfig(ConfigArguments config, String... args) {
    return config.file() == null || List.of(args).contains("--help")
        ? args
        : Stream.concat(Arrays.stream(args), config.arguments().stream()).toArray(String[]::new);
  }

  /** Refuses a --config that came from an @file: options are looked for before those are read. */
  private static void refuseUnread(ParseResult line, ConfigArguments config) {
    ParseResult called = line.hasSubcommand() ? line.subcommand() : line;
    if (config.file() == null && called.hasMatchedOption("--config")) {
      throw new ParameterException(
          called.commandSpec().commandLine(), "--config cannot be in an @file");
    }
  }

  /**
   * Spells -h out. As an option of one letter it would claim every value that begins with it, such
   * as that of --reward-label=-hate.
   */
  private static String[] longHelp(String... arguments) {
    return Arrays.stream(arguments)
        .map(each -> each.equals("-h") ? "--help" : each)
        .toArray(String[]::new);
  }

  /** Adds only the command that is called, if it is known: reading all of them takes time. */
  private static void addCommands(CommandLine line, String called) {
    Map<String, Supplier<BaseCommand>> commands = new LinkedHashMap<>();
    commands.put("generate", GenerateCommand::new);
    commands.put("serve", ServeCommand::new);
    commands.put("evaluate", EvaluateCommand::new);
    commands.put("rouge", RougeCommand::new);
    commands.put("score", ScoreCommand::new);
    commands.put("data", DataCommand::new);
    commands.put("demo", DemoCommand::new);
    commands.put("train", TrainCommand::new);
    commands.put("align", AlignCommand::new);
    commands.put("reward", RewardCommand::new);
    commands.put("best-of-n", BestOfNCommand::new);
    commands.put("compare", CompareCommand::new);
    commands.put("card", CardCommand::new);
    commands.put("review", ReviewCommand::new);
    commands.put("merge", MergeCommand::new);
    commands.put("download", DownloadCommand::new);
    commands.put("doctor", DoctorCommand::new);
    commands.put("bench", BenchCommand::new);
    commands.put("completion", CompletionCommand::new);
    boolean oneIsEnough = commands.containsKey(called) && !called.equals("completion");
    commands.forEach(
        (name, command) -> {
          if (!called.equals("--version") && (!oneIsEnough || name.equals(called))) {
            line.addSubcommand(name, command.get());
          }
        });
  }

  @Override
  public Terminal terminal() {
    return terminal;
  }

  @Override
  public void run() {
    throw new ParameterException(spec.commandLine(), "A command is missing");
  }

  /** Refuses repeated options: a repeated group of options would forget its earlier values. */
  private static void refuseTwice(ParseResult line) {
    for (ParseResult result = line; result != null; result = result.subcommand()) {
      Set<String> given = new HashSet<>();
      for (OptionSpec option : result.matchedOptions()) {
        if (!option.isMultiValue() && !given.add(option.longestName())) {
          throw new ParameterException(
              result.commandSpec().commandLine(), option.longestName() + " is given twice");
        }
      }
    }
  }
}
