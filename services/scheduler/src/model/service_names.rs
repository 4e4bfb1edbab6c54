//! The services of universal targets, by the identifiers that the AWS SDKs have: the service id of the model, lower case,
//! letters and digits alone.
//!
//! <https://docs.aws.amazon.com/scheduler/latest/UserGuide/managing-targets-universal.html>

/// What is known of a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Known {
    /// Its model is in the tree, under this name.
    Modelled(&'static str),
    /// AWS has it, and its operations are not known here.
    Unmodelled,
}

pub fn look_up(identifier: &str) -> Option<Known> {
    if let Ok(index) = MODELLED.binary_search_by(|(name, _)| (*name).cmp(identifier)) {
        return Some(Known::Modelled(MODELLED[index].1));
    }
    UNMODELLED.split_ascii_whitespace().any(|name| name == identifier).then_some(Known::Unmodelled)
}

/// Identifier and model, sorted.
const MODELLED: [(&str, &str); 48] = [
    ("acm", "acm"),
    ("apigateway", "apigateway"),
    ("apigatewaymanagementapi", "apigatewaymanagementapi"),
    ("apigatewayv2", "apigatewayv2"),
    ("applicationautoscaling", "application-autoscaling"),
    ("athena", "athena"),
    ("bedrock", "bedrock"),
    ("bedrockagent", "bedrock-agent"),
    ("bedrockagentruntime", "bedrock-agent-runtime"),
    ("bedrockruntime", "bedrock-runtime"),
    ("cloudformation", "cloudformation"),
    ("cloudfront", "cloudfront"),
    ("cloudfrontkeyvaluestore", "cloudfront-keyvaluestore"),
    ("cloudwatch", "cloudwatch"),
    ("cloudwatchlogs", "logs"),
    ("cognitoidentity", "cognito-identity"),
    ("cognitoidentityprovider", "cognito-idp"),
    ("dynamodb", "dynamodb"),
    ("dynamodbstreams", "dynamodbstreams"),
    ("ec2", "ec2"),
    ("ecr", "ecr"),
    ("ecs", "ecs"),
    ("elasticache", "elasticache"),
    ("elasticloadbalancingv2", "elbv2"),
    ("eventbridge", "events"),
    ("firehose", "firehose"),
    ("glue", "glue"),
    ("iam", "iam"),
    ("kinesis", "kinesis"),
    ("kms", "kms"),
    ("lambda", "lambda"),
    ("pipes", "pipes"),
    ("rds", "rds"),
    ("rdsdata", "rds-data"),
    ("resourcegroupstaggingapi", "resourcegroupstaggingapi"),
    ("route53", "route53"),
    ("s3", "s3"),
    ("s3control", "s3control"),
    ("scheduler", "scheduler"),
    ("secretsmanager", "secretsmanager"),
    ("ses", "ses"),
    ("sesv2", "sesv2"),
    ("sfn", "stepfunctions"),
    ("sns", "sns"),
    ("sqs", "sqs"),
    ("ssm", "ssm"),
    ("sts", "sts"),
    ("wafv2", "wafv2"),
];

/// The others that AWS's SDKs have.
const UNMODELLED: &str = "
accessanalyzer account acmpca aiops amp amplify amplifybackend amplifyuibuilder appconfig appconfigdata appfabric
appflow appintegrations applicationcostprofiler applicationdiscoveryservice applicationinsights applicationsignals
appmesh apprunner appstream appsync arcregionswitch arczonalshift artifact auditmanager autoscaling
autoscalingplans b2bi backup backupgateway backupsearch batch bcmdashboards bcmdataexports bcmpricingcalculator
bcmrecommendedactions bedrockagentcore bedrockagentcorecontrol bedrockdataautomation bedrockdataautomationruntime
billing billingconductor braket budgets chatbot chime chimesdkidentity chimesdkmediapipelines chimesdkmeetings
chimesdkmessaging chimesdkvoice cleanrooms cleanroomsml cloud9 cloudcontrol clouddirectory cloudhsm cloudhsmv2
cloudsearch cloudsearchdomain cloudtrail cloudtraildata codeartifact codebuild codecatalyst codecommit
codeconnections codedeploy codeguruprofiler codegurureviewer codegurusecurity codepipeline codestarconnections
codestarnotifications cognitosync comprehend comprehendmedical computeoptimizer computeoptimizerautomation
configservice connect connectcampaigns connectcampaignsv2 connectcases connectcontactlens connecthealth
connectparticipant controlcatalog controltower costandusagereportservice costexplorer costoptimizationhub
customerprofiles databasemigrationservice databrew dataexchange datapipeline datasync datazone dax deadline
detective devicefarm devopsagent devopsguru directconnect directoryservice directoryservicedata dlm docdb
docdbelastic drs dsql ebs ec2instanceconnect ecrpublic efs eks eksauth elasticbeanstalk elasticloadbalancing
elasticsearchservice elementalinference emr emrcontainers emrserverless entityresolution evs finspace finspacedata
fis fms forecast forecastquery frauddetector freetier fsx gamelift gameliftstreams geomaps geoplaces georoutes
glacier globalaccelerator grafana greengrass greengrassv2 groundstation guardduty health healthlake identitystore
imagebuilder importexport inspector inspector2 inspectorscan interconnect internetmonitor invoicing iot
iotdataplane iotdeviceadvisor iotevents ioteventsdata iotfleetwise iotjobsdataplane iotmanagedintegrations
iotsecuretunneling iotsitewise iotthingsgraph iottwinmaker iotwireless ivs ivschat ivsrealtime kafka kafkaconnect
kendra kendraranking keyspaces keyspacesstreams kinesisanalytics kinesisanalyticsv2 kinesisvideo
kinesisvideoarchivedmedia kinesisvideomedia kinesisvideosignaling kinesisvideowebrtcstorage lakeformation
launchwizard lexmodelbuildingservice lexmodelsv2 lexruntimeservice lexruntimev2 licensemanager
licensemanagerlinuxsubscriptions licensemanagerusersubscriptions lightsail location lookoutequipment m2
machinelearning macie2 mailmanager managedblockchain managedblockchainquery marketplaceagreement marketplacecatalog
marketplacecommerceanalytics marketplacedeployment marketplacediscovery marketplaceentitlementservice
marketplacemetering marketplacereporting mediaconnect mediaconvert medialive mediapackage mediapackagev2
mediapackagevod mediastore mediastoredata mediatailor medicalimaging memorydb mgn migrationhub migrationhubconfig
migrationhuborchestrator migrationhubrefactorspaces migrationhubstrategy mpa mq mturk mwaa mwaaserverless neptune
neptunedata neptunegraph networkfirewall networkflowmonitor networkmanager networkmonitor notifications
notificationscontacts novaact oam observabilityadmin odb omics opensearch opensearchserverless organizations osis
outposts panorama partnercentralaccount partnercentralbenefits partnercentralchannel partnercentralselling
paymentcryptography paymentcryptographydata pcaconnectorad pcaconnectorscep pcs personalize personalizeevents
personalizeruntime pi pinpoint pinpointemail pinpointsmsvoice pinpointsmsvoicev2 polly pricing proton qapps
qbusiness qconnect quicksight ram rbin redshift redshiftdata redshiftserverless rekognition repostspace
resiliencehub resourceexplorer2 resourcegroups rolesanywhere route53domains route53globalresolver route53profiles
route53recoverycluster route53recoverycontrolconfig route53recoveryreadiness route53resolver rtbfabric rum s3files
s3outposts s3tables s3vectors sagemaker sagemakera2iruntime sagemakeredge sagemakerfeaturestoreruntime
sagemakergeospatial sagemakermetrics sagemakerruntime savingsplans schemas securityagent securityhub securityir
securitylake serverlessapplicationrepository servicecatalog servicecatalogappregistry servicediscovery
servicequotas shield signer signerdata signin simpledb simpledbv2 simspaceweaver snowball snowdevicemanagement
socialmessaging ssmcontacts ssmguiconnect ssmincidents ssmquicksetup ssmsap sso ssoadmin ssooidc storagegateway
supplychain support supportapp sustainability swf synthetics taxsettings textract timestreaminfluxdb
timestreamquery timestreamwrite tnb transcribe transfer translate trustedadvisor uxc verifiedpermissions voiceid
vpclattice waf wafregional wellarchitected wickr wisdom workdocs workmail workmailmessageflow workspaces
workspacesinstances workspacesthinclient workspacesweb xray
";

#[cfg(test)]
mod tests {
    use fractus_client::Client;
    use fractus_client::fractus_aws::{Region, World};

    use super::*;

    #[test]
    fn identifiers_are_the_models_service_ids() {
        assert!(MODELLED.is_sorted());
        assert_eq!(look_up("batch"), Some(Known::Unmodelled));
        assert_eq!(look_up("cognito-idp"), None);
        let client = Client::new(|_: &_, _: &_| None);
        let calls = client.on_behalf(World::default_world(), Region::us_east_1());
        // Small models alone: EC2's takes seconds without optimisation.
        for (identifier, api, operation) in [
            ("sqs", "sqs", "SendMessage"),
            ("sfn", "stepfunctions", "StartExecution"),
            ("rdsdata", "rds-data", "ExecuteStatement"),
        ] {
            assert_eq!(look_up(identifier), Some(Known::Modelled(api)));
            let (service, _) = calls.find(api, operation).unwrap();
            let own: String = service.service_id.to_lowercase().chars().filter(char::is_ascii_alphanumeric).collect();
            assert_eq!(own, identifier);
        }
    }
}
