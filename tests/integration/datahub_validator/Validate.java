import ch.qos.logback.classic.Level;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import com.linkedin.common.urn.Urn;
import com.linkedin.data.ByteString;
import com.linkedin.data.template.RecordTemplate;
import com.linkedin.metadata.aspect.batch.BatchItem;
import com.linkedin.metadata.aspect.patch.GenericJsonPatch;
import com.linkedin.metadata.aspect.patch.template.AspectTemplateEngine;
import com.linkedin.metadata.aspect.patch.template.common.GenericPatchTemplate;
import com.linkedin.metadata.aspect.plugins.config.AspectPluginConfig;
import com.linkedin.metadata.aspect.validation.FieldPathValidator;
import com.linkedin.metadata.models.AspectSpec;
import com.linkedin.metadata.models.EntitySpec;
import com.linkedin.metadata.models.registry.ConfigEntityRegistry;
import com.linkedin.metadata.models.registry.SnapshotEntityRegistry;
import com.linkedin.metadata.utils.EntityRegistryUrnValidator;
import com.linkedin.metadata.utils.GenericRecordUtils;
import com.linkedin.metadata.utils.RecordTemplateValidator;
import com.linkedin.metadata.utils.UrnValidationUtil;
import com.linkedin.mxe.MetadataChangeProposal;
import com.datahub.util.RecordUtils;
import jakarta.json.Json;
import jakarta.json.JsonPatch;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.io.StringReader;
import java.lang.reflect.Proxy;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import org.slf4j.LoggerFactory;

/**
 * Judges metadata change proposals with the classes of DataHub's own server, and applies patches as it does.
 *
 * <p>Reads one JSON object a line: {"proposal": …} as the REST emitter sends it, and {"stored": …}, the aspect that a
 * patch meets, or none. Writes one a line: {"faults": […], "aspect": …}, the aspect as it would be stored.
 */
public final class Validate {
  private static final ObjectMapper JSON =
      new ObjectMapper().enable(DeserializationFeature.FAIL_ON_TRAILING_TOKENS);
  private final ConfigEntityRegistry registry;
  private final AspectTemplateEngine templates = SnapshotEntityRegistry.getInstance().getAspectTemplateEngine();

  private Validate(ConfigEntityRegistry registry) {
    this.registry = registry;
  }

  public static void main(String[] arguments) throws Exception {
    ((ch.qos.logback.classic.Logger) LoggerFactory.getLogger("ROOT")).setLevel(Level.WARN);
    PrintStream out = new PrintStream(System.out, false, StandardCharsets.UTF_8);
    Validate validate =
        new Validate(new ConfigEntityRegistry(Validate.class.getResourceAsStream("/entity-registry.yml")));
    BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
    for (String line = in.readLine(); line != null; line = in.readLine()) {
      out.println(JSON.writeValueAsString(validate.judge(JSON.readTree(line))));
      out.flush();
    }
  }

  private ObjectNode judge(JsonNode asked) {
    List<String> faults = new ArrayList<>();
    ObjectNode told = JSON.createObjectNode();
    try {
      RecordTemplate aspect = aspect(asked.get("proposal"), asked.get("stored"), faults);
      told.set("aspect", aspect == null ? null : JSON.readTree(RecordUtils.toJsonString(aspect)));
    } catch (Exception | StackOverflowError error) {
      faults.add(error.getClass().getSimpleName() + ": " + error.getMessage());
    }
    faults.forEach(told.putArray("faults")::add);
    return told;
  }

  private RecordTemplate aspect(JsonNode found, JsonNode stored, List<String> faults) throws Exception {
    MetadataChangeProposal proposal =
        RecordUtils.toRecordTemplate(MetadataChangeProposal.class, JSON.writeValueAsString(found));
    RecordTemplateValidator.validate(proposal, result -> faults.add("proposal: " + result.getMessages()));
    if (!faults.isEmpty()) {
      return null;
    }
    EntitySpec entity = registry.getEntitySpec(proposal.getEntityType());
    Urn urn = Urn.createFromString(found.get("entityUrn").asText());
    UrnValidationUtil.validateUrn(registry, urn, true);
    if (!urn.getEntityType().equals(proposal.getEntityType())) {
      faults.add("the URN is of another entity type");
    }
    AspectSpec spec = entity.getAspectSpec(proposal.getAspectName());
    if (spec == null) {
      faults.add(proposal.getAspectName() + " is no aspect of " + entity.getName());
      return null;
    }
    ByteString value = proposal.getAspect().getValue();
    String type = proposal.getAspect().getContentType();
    RecordTemplate aspect =
        switch (proposal.getChangeType()) {
          case UPSERT -> GenericRecordUtils.deserializeAspect(value, type, spec);
          case PATCH -> patched(value.asString(StandardCharsets.UTF_8), type, spec, stored, faults);
          default -> throw new IllegalArgumentException("no change of this kind: " + proposal.getChangeType());
        };
    if (aspect != null) {
      check(aspect, urn, entity, spec, faults);
    }
    return aspect;
  }

  private RecordTemplate patched(String patch, String type, AspectSpec spec, JsonNode stored, List<String> faults)
      throws Exception {
    if (!GenericRecordUtils.JSON_PATCH.equals(type)) {
      faults.add("a patch with the content type " + type);
      return null;
    }
    RecordTemplate present = present(spec, stored);
    JsonNode found = JSON.readTree(patch);
    if (found.isArray()) {
      JsonPatch plain = Json.createPatch(Json.createReader(new StringReader(patch)).readArray());
      return templates.applyPatch(present, plain, spec);
    }
    GenericJsonPatch generic = JSON.treeToValue(found, GenericJsonPatch.class);
    RecordTemplate start = present == null ? spec.getDataTemplateClass().getDeclaredConstructor().newInstance() : present;
    return of(spec.getDataTemplateClass(), generic, start).applyPatch(start);
  }

  private RecordTemplate present(AspectSpec spec, JsonNode stored) throws JsonProcessingException {
    if (stored != null && !stored.isNull()) {
      String text = JSON.writeValueAsString(stored);
      return RecordUtils.toRecordTemplate(spec.getDataTemplateClass(), text);
    }
    return templates.getDefaultTemplate(spec.getName());
  }

  @SuppressWarnings("unchecked")
  private static <T extends RecordTemplate> GenericPatchTemplate<T> of(
      Class<T> type, GenericJsonPatch patch, RecordTemplate start) {
    return GenericPatchTemplate.<T>builder()
        .genericJsonPatch(patch)
        .templateType(type)
        .templateDefault((T) start)
        .build();
  }

  private void check(RecordTemplate aspect, Urn urn, EntitySpec entity, AspectSpec spec, List<String> faults) {
    EntityRegistryUrnValidator urns = new EntityRegistryUrnValidator(registry);
    urns.setCurrentEntitySpec(entity);
    RecordTemplateValidator.validate(aspect, result -> faults.add(spec.getName() + ": " + result.getMessages()), urns);
    if (spec.getName().equals("schemaMetadata")) {
      checkPaths(aspect, urn, faults);
    }
  }

  /** Asks the server's validator of field paths, which wants an item of a batch and only reads its aspect. */
  private static void checkPaths(RecordTemplate aspect, Urn urn, List<String> faults) {
    Class<?>[] kinds = {BatchItem.class};
    BatchItem item =
        (BatchItem)
            Proxy.newProxyInstance(
                Validate.class.getClassLoader(),
                kinds,
                (self, method, given) ->
                    switch (method.getName()) {
                      case "getAspect", "getRecordTemplate" -> aspect;
                      case "getUrn" -> urn;
                      case "getAspectName" -> "schemaMetadata";
                      case "getChangeType" -> com.linkedin.events.metadata.ChangeType.UPSERT;
                      case "hashCode" -> System.identityHashCode(self);
                      case "equals" -> self == given[0];
                      case "toString" -> "item";
                      default -> null;
                    });
    FieldPathValidator validator = new FieldPathValidator();
    validator.setConfig(
        AspectPluginConfig.builder()
            .className(FieldPathValidator.class.getName())
            .enabled(true)
            .supportedOperations(List.of("UPSERT"))
            .supportedEntityAspectNames(List.of(AspectPluginConfig.EntityAspectName.ALL))
            .build());
    validator.validateProposed(List.of(item), null, null).forEach(error -> faults.add(error.getMessage()));
  }
}
