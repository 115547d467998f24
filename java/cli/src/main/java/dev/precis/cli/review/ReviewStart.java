package dev.precis.cli.review;

import dev.precis.cli.common.BaseCommand;
import dev.precis.cli.common.OutputFolder;
import dev.precis.io.BoundedFile;
import dev.precis.io.InvalidInputException;
import dev.precis.review.Gate;
import dev.precis.review.comparison.ComparisonItem;
import dev.precis.review.comparison.ComparisonPair;
import dev.precis.review.comparison.ComparisonProject;
import dev.precis.review.comparison.ComparisonSession;
import dev.precis.review.comparison.ComparisonSettings;
import dev.precis.review.comparison.PairSelection;
import dev.precis.text.PromptTemplate;
import java.nio.file.Path;
import java.security.SecureRandom;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** Makes or opens a project, opens a queue, and serves their page until a signal comes. */
final class ReviewStart {
  private static final int TOKEN_BYTES = 16;
  private static final long MAX_GUIDELINES = 1 << 20;

  private final BaseCommand command;
  private final StartOptions options;

  ReviewStart(BaseCommand command, StartOptions options) {
    this.command = command;
    this.options = options;
  }

  int run() {
    options.listen.check(command);
    if (options.rewardLabel != null && options.rewardModel.rewardModel() == null) {
      throw command.usage("--reward-label needs --reward-model");
    }
    if (options.output == null && !command.given("--queue")) {
      throw command.usage(
          "--output FOLDER is missing, the project of the comparisons, or --queue FILE, of the"
              + " texts that are held");
    }
    ComparisonProject project = options.output == null ? null : project();
    try (ComparisonSession session = project == null ? null : ComparisonSession.open(project);
        Gate gate = command.given("--queue") ? options.queue.open() : null) {
      return ReviewRun.serve(
          command, options.listen, session, gate, tokens(project), managers(project));
    } catch (NoClassDefFoundError e) {
      throw new InvalidInputException(
          "The class %s is missing: start 'precis review' by its launcher, or add precis-server to the class path"
              .formatted(e.getMessage()),
          e);
    }
  }

  private Map<String, String> tokens(ComparisonProject project) {
    Map<String, String> tokens = new LinkedHashMap<>();
    if (project != null) {
      project.settings().annotators().forEach(name -> tokens.put(name, project.token(name)));
      return tokens;
    }
    SecureRandom random = new SecureRandom();
    for (String name : annotators()) {
      byte[] token = new byte[TOKEN_BYTES];
      random.nextBytes(token);
      tokens.put(name, HexFormat.of().formatHex(token));
    }
    return tokens;
  }

  private Map<String, String> managers(ComparisonProject project) {
    Map<String, String> tokens = new LinkedHashMap<>();
    for (String name : options.managers) {
      if (project == null) {
        throw command.usage("--manager needs --output, a project whose agreement there is to see");
      }
      if (project.settings().annotators().contains(name)) {
        throw command.usage(
            "--manager %s is an annotator of the project: who sees the ranking cannot answer blind"
                .formatted(name));
      }
      tokens.put(name, project.managerToken(name));
    }
    return tokens;
  }

  private List<String> annotators() {
    return options.annotators.isEmpty() ? List.of("reviewer") : options.annotators;
  }

  private ComparisonProject project() {
    Path folder = options.output;
    if (ComparisonProject.isProject(folder)) {
      if (options.data != null || !options.candidates.isEmpty()) {
        throw new InvalidInputException(
            folder
                + " holds a project already: leave out --data and --candidate to go on with it, or"
                + " name another folder");
      }
      for (String option : List.of("--overlap", "--repeats", "--gold", "--guidelines", "--seed")) {
        if (command.given(option)) {
          throw command.usage(option + " is a setting of a new project; leave it out to go on");
        }
      }
      ComparisonProject project = ComparisonProject.read(folder);
      if (!options.annotators.isEmpty()) {
        project = project.withAnnotators(options.annotators);
      }
      return options.rewardModel.rewardModel() == null ? project : scored(project);
    }
    CandidateTexts texts = new CandidateTexts(command, options);
    texts.check();
    OutputFolder.requireNewOrEmpty(folder);
    ComparisonSettings settings = settings();
    List<ComparisonItem> items = texts.items();
    try (OutputFolder output = OutputFolder.create(folder)) {
      ComparisonProject.create(output.path(), settings, items);
      if (options.rewardModel.rewardModel() != null) {
        scored(ComparisonProject.read(output.path()));
      }
      output.commit();
    }
    ComparisonProject project = ComparisonProject.read(folder);
    noteSame(project);
    return project;
  }

  /** Gives the texts the scores of the model that is given now. */
  private ComparisonProject scored(ComparisonProject project) {
    RewardScores scores = new RewardScores(command, options);
    return project.withScores(
        scores.of(project.items(), PromptTemplate.of(project.settings().template())),
        scores.modelHash());
  }

  private ComparisonSettings settings() {
    PromptTemplate template = options.prompts.template();
    return new ComparisonSettings(
        command.common().seed(),
        options.overlap,
        options.repeats,
        annotators(),
        options.guidelines == null
            ? ""
            : BoundedFile.readText(options.guidelines, MAX_GUIDELINES, "guidelines"),
        template.text(),
        PairSelection.RANDOM);
  }

  private void noteSame(ComparisonProject project) {
    long without =
        project.items().stream().filter(item -> ComparisonPair.of(item).isEmpty()).count();
    if (without > 0) {
      command.note(
          "%d of %d dialogues are left out: their summaries are the same."
              .formatted(without, project.items().size()));
    }
  }
}
