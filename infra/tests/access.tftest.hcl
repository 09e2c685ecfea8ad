# Who may do what, all of it. A right that is not in this table is not given: no module but `access` gives any
# (tests/infra/test_modules.py), and its tables are made of the resources that do.

mock_provider "google" {
  mock_data "google_project" {
    defaults = { number = "123456789012" }
  }
}

variables {
  project = "pitwall-test"
  bundle  = "../functions/main.py"
}

run "table" {
  command = plan

  assert {
    condition = output.access == tolist([
      "account pitwall-api@pitwall-test.iam.gserviceaccount.com: projects/pitwall-test/roles/pitwallSigner serviceAccount:pitwall-api@pitwall-test.iam.gserviceaccount.com",
      "account pitwall-push@pitwall-test.iam.gserviceaccount.com: roles/iam.serviceAccountOpenIdTokenCreator serviceAccount:service-123456789012@gcp-sa-pubsub.iam.gserviceaccount.com",
      "bucket pitwall-test-raw: projects/pitwall-test/roles/pitwallErasure serviceAccount:pitwall-jobs@pitwall-test.iam.gserviceaccount.com if kart-recordings",
      "bucket pitwall-test-raw: projects/pitwall-test/roles/pitwallRecorder serviceAccount:pitwall-recorder@pitwall-test.iam.gserviceaccount.com",
      "bucket pitwall-test-raw: projects/pitwall-test/roles/pitwallRecordings serviceAccount:pitwall-api@pitwall-test.iam.gserviceaccount.com",
      "bucket pitwall-test-raw: projects/pitwall-test/roles/pitwallRecordings serviceAccount:pitwall-jobs@pitwall-test.iam.gserviceaccount.com",
      "bucket pitwall-test-source: roles/storage.objectViewer serviceAccount:pitwall-build@pitwall-test.iam.gserviceaccount.com",
      "bucket pitwall-test-telemetry: projects/pitwall-test/roles/pitwallTelemetry serviceAccount:pitwall-jobs@pitwall-test.iam.gserviceaccount.com",
      "bucket pitwall-test-telemetry: projects/pitwall-test/roles/pitwallTelemetryReader serviceAccount:pitwall-api@pitwall-test.iam.gserviceaccount.com",
      "function api: roles/run.invoker allUsers",
      "function economy: roles/run.invoker serviceAccount:pitwall-push@pitwall-test.iam.gserviceaccount.com",
      "function jobs: roles/run.invoker serviceAccount:pitwall-push@pitwall-test.iam.gserviceaccount.com",
      "function poller: roles/run.invoker serviceAccount:pitwall-scheduler@pitwall-test.iam.gserviceaccount.com",
      "function reconciler: roles/run.invoker serviceAccount:pitwall-scheduler@pitwall-test.iam.gserviceaccount.com",
      "function recorder: roles/run.invoker serviceAccount:pitwall-push@pitwall-test.iam.gserviceaccount.com",
      "function schedule: roles/run.invoker serviceAccount:pitwall-scheduler@pitwall-test.iam.gserviceaccount.com",
      "function writer: roles/run.invoker serviceAccount:pitwall-push@pitwall-test.iam.gserviceaccount.com",
      "project pitwall-test: projects/pitwall-test/roles/pitwallAccounts serviceAccount:pitwall-api@pitwall-test.iam.gserviceaccount.com",
      "project pitwall-test: projects/pitwall-test/roles/pitwallApi serviceAccount:pitwall-api@pitwall-test.iam.gserviceaccount.com if one-database",
      "project pitwall-test: projects/pitwall-test/roles/pitwallEconomy serviceAccount:pitwall-economy@pitwall-test.iam.gserviceaccount.com if one-database",
      "project pitwall-test: projects/pitwall-test/roles/pitwallJobs serviceAccount:pitwall-jobs@pitwall-test.iam.gserviceaccount.com if one-database",
      "project pitwall-test: projects/pitwall-test/roles/pitwallKarts serviceAccount:pitwall-karts@pitwall-test.iam.gserviceaccount.com if one-database",
      "project pitwall-test: projects/pitwall-test/roles/pitwallPoller serviceAccount:pitwall-collector@pitwall-test.iam.gserviceaccount.com if one-database",
      "project pitwall-test: projects/pitwall-test/roles/pitwallPoller serviceAccount:pitwall-poller@pitwall-test.iam.gserviceaccount.com if one-database",
      "project pitwall-test: projects/pitwall-test/roles/pitwallReconciler serviceAccount:pitwall-reconciler@pitwall-test.iam.gserviceaccount.com if one-database",
      "project pitwall-test: projects/pitwall-test/roles/pitwallRules serviceAccount:pitwall-economy@pitwall-test.iam.gserviceaccount.com",
      "project pitwall-test: projects/pitwall-test/roles/pitwallSchedule serviceAccount:pitwall-schedule@pitwall-test.iam.gserviceaccount.com if one-database",
      "project pitwall-test: projects/pitwall-test/roles/pitwallWriter serviceAccount:pitwall-writer@pitwall-test.iam.gserviceaccount.com if one-database",
      "project pitwall-test: roles/logging.logWriter serviceAccount:pitwall-build@pitwall-test.iam.gserviceaccount.com",
      "project pitwall-test: roles/storage.objectViewer serviceAccount:pitwall-build@pitwall-test.iam.gserviceaccount.com if sources-of-functions",
      "repository functions: roles/artifactregistry.writer serviceAccount:pitwall-build@pitwall-test.iam.gserviceaccount.com",
      "secret f1tv-token: roles/secretmanager.secretAccessor serviceAccount:pitwall-collector@pitwall-test.iam.gserviceaccount.com",
      "secret f1tv-token: roles/secretmanager.secretAccessor serviceAccount:pitwall-poller@pitwall-test.iam.gserviceaccount.com",
      "secret openf1-password: roles/secretmanager.secretAccessor serviceAccount:pitwall-collector@pitwall-test.iam.gserviceaccount.com",
      "secret openf1-password: roles/secretmanager.secretAccessor serviceAccount:pitwall-poller@pitwall-test.iam.gserviceaccount.com",
      "secret openf1-token: roles/secretmanager.secretAccessor serviceAccount:pitwall-collector@pitwall-test.iam.gserviceaccount.com",
      "secret openf1-token: roles/secretmanager.secretAccessor serviceAccount:pitwall-poller@pitwall-test.iam.gserviceaccount.com",
      "secret rate-limit: roles/secretmanager.secretAccessor serviceAccount:pitwall-api@pitwall-test.iam.gserviceaccount.com",
      "subscription budget-economy: roles/pubsub.subscriber serviceAccount:service-123456789012@gcp-sa-pubsub.iam.gserviceaccount.com",
      "subscription jobs-worker: roles/pubsub.subscriber serviceAccount:service-123456789012@gcp-sa-pubsub.iam.gserviceaccount.com",
      "subscription raw-recorder: roles/pubsub.subscriber serviceAccount:service-123456789012@gcp-sa-pubsub.iam.gserviceaccount.com",
      "subscription timing-writer: roles/pubsub.subscriber serviceAccount:service-123456789012@gcp-sa-pubsub.iam.gserviceaccount.com",
      "topic budget-dead: roles/pubsub.publisher serviceAccount:pitwall-economy@pitwall-test.iam.gserviceaccount.com",
      "topic budget-dead: roles/pubsub.publisher serviceAccount:service-123456789012@gcp-sa-pubsub.iam.gserviceaccount.com",
      "topic events: roles/pubsub.publisher serviceAccount:pitwall-collector@pitwall-test.iam.gserviceaccount.com",
      "topic events: roles/pubsub.publisher serviceAccount:pitwall-karts@pitwall-test.iam.gserviceaccount.com",
      "topic events: roles/pubsub.publisher serviceAccount:pitwall-poller@pitwall-test.iam.gserviceaccount.com",
      "topic jobs-dead: roles/pubsub.publisher serviceAccount:pitwall-jobs@pitwall-test.iam.gserviceaccount.com",
      "topic jobs-dead: roles/pubsub.publisher serviceAccount:service-123456789012@gcp-sa-pubsub.iam.gserviceaccount.com",
      "topic jobs: roles/pubsub.publisher serviceAccount:pitwall-api@pitwall-test.iam.gserviceaccount.com",
      "topic jobs: roles/pubsub.publisher serviceAccount:pitwall-jobs@pitwall-test.iam.gserviceaccount.com",
      "topic raw-dead: roles/pubsub.publisher serviceAccount:pitwall-recorder@pitwall-test.iam.gserviceaccount.com",
      "topic raw-dead: roles/pubsub.publisher serviceAccount:service-123456789012@gcp-sa-pubsub.iam.gserviceaccount.com",
      "topic raw: roles/pubsub.publisher serviceAccount:pitwall-collector@pitwall-test.iam.gserviceaccount.com",
      "topic raw: roles/pubsub.publisher serviceAccount:pitwall-karts@pitwall-test.iam.gserviceaccount.com",
      "topic raw: roles/pubsub.publisher serviceAccount:pitwall-poller@pitwall-test.iam.gserviceaccount.com",
      "topic timing-dead: roles/pubsub.publisher serviceAccount:pitwall-writer@pitwall-test.iam.gserviceaccount.com",
      "topic timing-dead: roles/pubsub.publisher serviceAccount:service-123456789012@gcp-sa-pubsub.iam.gserviceaccount.com",
      "topic timing: roles/pubsub.publisher serviceAccount:pitwall-collector@pitwall-test.iam.gserviceaccount.com",
      "topic timing: roles/pubsub.publisher serviceAccount:pitwall-karts@pitwall-test.iam.gserviceaccount.com",
      "topic timing: roles/pubsub.publisher serviceAccount:pitwall-poller@pitwall-test.iam.gserviceaccount.com",
      "topic timing: roles/pubsub.publisher serviceAccount:pitwall-reconciler@pitwall-test.iam.gserviceaccount.com",
    ])
    error_message = "The rights that are given are not those of this table:\n${join("\n", output.access)}"
  }

  assert {
    condition = module.access.roles == {
      pitwallAccounts        = toset(["firebaseauth.users.get", "firebaseauth.users.update"])
      pitwallApi             = toset(["datastore.entities.get", "datastore.entities.list", "datastore.entities.create", "datastore.entities.update", "datastore.entities.delete"])
      pitwallEconomy         = toset(["datastore.entities.get", "datastore.entities.create", "datastore.entities.update"])
      pitwallJobs            = toset(["datastore.entities.get", "datastore.entities.list", "datastore.entities.create", "datastore.entities.update", "datastore.entities.delete"])
      pitwallErasure         = toset(["storage.objects.create", "storage.objects.delete"])
      pitwallKarts           = toset(["datastore.entities.get", "datastore.entities.create", "datastore.entities.update"])
      pitwallPoller          = toset(["datastore.entities.get", "datastore.entities.create", "datastore.entities.update"])
      pitwallReconciler      = toset(["datastore.entities.get", "datastore.entities.list", "datastore.entities.create", "datastore.entities.update"])
      pitwallRecorder        = toset(["storage.objects.create", "storage.objects.delete"])
      pitwallRules           = toset(["firebaserules.releases.get", "firebaserules.releases.update", "firebaserules.rulesets.get"])
      pitwallSchedule        = toset(["datastore.entities.get", "datastore.entities.list", "datastore.entities.create", "datastore.entities.update", "datastore.entities.delete"])
      pitwallSigner          = toset(["iam.serviceAccounts.signBlob"])
      pitwallRecordings      = toset(["storage.objects.get", "storage.objects.list"])
      pitwallTelemetry       = toset(["storage.objects.create", "storage.objects.delete", "storage.objects.get", "storage.objects.list"])
      pitwallTelemetryReader = toset(["storage.objects.get", "storage.objects.list"])
      pitwallWriter          = toset(["datastore.entities.get", "datastore.entities.create", "datastore.entities.update", "datastore.entities.delete"])
    }
    error_message = "The roles of our own have these permissions and no others."
  }

  assert {
    condition     = [for right in output.access : right if strcontains(right, "allUsers") || strcontains(right, "allAuthenticatedUsers")] == ["function api: roles/run.invoker allUsers"]
    error_message = "Nothing but the API is everybody's."
  }

  assert {
    condition = { for title, expressions in module.access.conditions : title => join(" ", distinct(expressions)) } == {
      kart-recordings      = "resource.name.startsWith('projects/_/buckets/pitwall-test-raw/objects/kart-')"
      one-database         = "resource.name == 'projects/pitwall-test/databases/(default)'"
      sources-of-functions = "resource.name.startsWith('projects/_/buckets/gcf-v2-sources-123456789012-europe-west1')"
    }
    error_message = "Rights on documents are for one database, the builder's on the functions' sources, erasing on recordings of kart tracks."
  }
}

run "with_budget_and_metrics" {
  command = plan

  variables {
    billing_account = "012345-6789AB-CDEF01"
    settings        = { PITWALL_METRICS_URL = "https://telemetry.googleapis.com/v1/metrics" }
  }

  assert {
    condition = toset(setsubtract(output.access, run.table.access)) == toset(concat(
      ["topic budget: roles/pubsub.publisher serviceAccount:billing-budget-alert@system.gserviceaccount.com"],
      [
        for name in ["api", "economy", "jobs", "karts", "poller", "reconciler", "recorder", "schedule", "writer"] :
        "project pitwall-test: roles/telemetry.metricsWriter serviceAccount:pitwall-${name}@pitwall-test.iam.gserviceaccount.com"
      ],
    ))
    error_message = "A budget may tell of costs, and functions that measure may send what they measured."
  }
}

run "with_karts" {
  command = plan

  variables {
    karts = true
  }

  assert {
    condition     = setsubtract(output.access, run.table.access) == toset(["function karts: roles/run.invoker serviceAccount:pitwall-scheduler@pitwall-test.iam.gserviceaccount.com"])
    error_message = "Where there are kart tracks, Cloud Scheduler may call their function as well."
  }
}
